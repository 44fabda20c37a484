"""Tokenizers from files: DALL-E's encoder as OpenAI published it, and files that must be refused."""

from __future__ import annotations

import os
import sys
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from rapport_training.masked_image.tokenizers import ImageTokenizerError, load_image_tokenizer
from rapport_training.masked_image.tokenizers.autoencoder import AutoencoderConfig, DiscreteAutoencoder
from rapport_training.masked_image.tokenizers.codebook_use import CodebookUse
from rapport_training.masked_image.tokenizers.dalle import DalleEncoder
from rapport_training.masked_image.tokenizers.loading import CONFIG_KEY, save_autoencoder


@pytest.fixture
def dall_e(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A stand-in for OpenAI's package with its classes' names, attributes and forward passes: its pickle is alike."""
    encoder, utils = ModuleType("dall_e.encoder"), ModuleType("dall_e.utils")

    class Conv2d(nn.Module):
        def __init__(self, n_in: int, n_out: int, kw: int) -> None:
            super().__init__()
            self.n_in, self.n_out, self.kw, self.device = n_in, n_out, kw, torch.device("cpu")
            self.w = nn.Parameter(torch.randn(n_out, n_in, kw, kw) / (n_in * kw**2) ** 0.5, requires_grad=False)
            self.b = nn.Parameter(torch.randn(n_out) * 0.1, requires_grad=False)

        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.conv2d(x, self.w, self.b, padding=(self.kw - 1) // 2)

    class EncoderBlock(nn.Module):
        def __init__(self, n_in: int, n_out: int, n_layers: int) -> None:
            super().__init__()
            n_hid = n_out // 4
            self.post_gain = 1 / (n_layers**2)
            self.id_path = Conv2d(n_in, n_out, 1) if n_in != n_out else nn.Identity()
            steps = [("relu_1", nn.ReLU()), ("conv_1", Conv2d(n_in, n_hid, 3))]
            steps += [("relu_2", nn.ReLU()), ("conv_2", Conv2d(n_hid, n_hid, 3))]
            steps += [("relu_3", nn.ReLU()), ("conv_3", Conv2d(n_hid, n_hid, 3))]
            steps += [("relu_4", nn.ReLU()), ("conv_4", Conv2d(n_hid, n_out, 1))]
            self.res_path = nn.Sequential(OrderedDict(steps))

        def forward(self, x: Tensor) -> Tensor:
            return self.id_path(x) + self.post_gain * self.res_path(x)

    class Encoder(nn.Module):
        def __init__(self, n_hid: int, vocab_size: int) -> None:
            super().__init__()
            groups, n_in = [("input", Conv2d(3, n_hid, 7))], n_hid
            for group in range(4):
                n_out = n_hid * 2**group
                steps = [("block_1", EncoderBlock(n_in, n_out, 8)), ("block_2", EncoderBlock(n_out, n_out, 8))]
                pool = [("pool", nn.MaxPool2d(kernel_size=2))] if group < 3 else []
                groups.append((f"group_{group + 1}", nn.Sequential(OrderedDict(steps + pool))))
                n_in = n_out
            output = OrderedDict([("relu", nn.ReLU()), ("conv", Conv2d(n_in, vocab_size, 1))])
            self.blocks = nn.Sequential(OrderedDict([*groups, ("output", nn.Sequential(output))]))

        def forward(self, x: Tensor) -> Tensor:
            return self.blocks(x)

    for module, kinds in ((utils, [Conv2d]), (encoder, [EncoderBlock, Encoder])):
        for kind in kinds:
            kind.__module__, kind.__qualname__ = module.__name__, kind.__name__
            setattr(module, kind.__name__, kind)
    package = ModuleType("dall_e")
    for module in (package, encoder, utils):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    package.Encoder = Encoder
    yield package


def published(dall_e: ModuleType, path: Path, monkeypatch: pytest.MonkeyPatch, **how: object) -> nn.Module:
    """Pickles a whole module as OpenAI did, and takes the package away again."""
    torch.manual_seed(0)
    encoder = dall_e.Encoder(n_hid=8, vocab_size=40)
    with torch.no_grad():  # without the mean of random scores, tokens differ from place to place
        encoder.blocks.output.conv.b -= encoder(0.8 * crops(3, 32).float() / 255 + 0.1).mean((0, 2, 3))
    torch.save(encoder, path, **how)
    for name in ("dall_e", "dall_e.encoder", "dall_e.utils"):
        monkeypatch.delitem(sys.modules, name)
    return encoder


def crops(count: int, size: int) -> Tensor:
    """Pictures of coloured squares, whose tokens differ."""
    squares = torch.randint(256, (count, 3, size // 8, size // 8), generator=torch.Generator().manual_seed(0))
    return squares.to(torch.uint8).repeat_interleave(8, 2).repeat_interleave(8, 3)


def test_the_published_pickle_is_read_without_its_package(dall_e, tmp_path, monkeypatch) -> None:
    path = tmp_path / "encoder.pkl"
    theirs = published(dall_e, path, monkeypatch)
    tokenizer = load_image_tokenizer(path, "cpu")
    assert tokenizer.vocabulary == 40
    pixels = crops(3, 32)
    with torch.no_grad():
        expected = theirs(0.8 * pixels.float() / 255 + 0.1).argmax(dim=1).flatten(1)
    assert torch.equal(tokenizer.encode(pixels, grid=4), expected)
    assert len(expected.unique()) > 5


@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
def test_a_module_in_torchs_oldest_format_comes_with_the_conversion(dall_e, tmp_path, monkeypatch) -> None:
    path = tmp_path / "encoder.pkl"
    published(dall_e, path, monkeypatch, _use_new_zipfile_serialization=False)
    with pytest.raises(ImageTokenizerError, match="convert it once"):
        load_image_tokenizer(path)


@pytest.mark.parametrize("kind", ["pt", "state_dict", "safetensors"])
def test_a_state_dict_gives_the_same_tokens_as_the_pickle(dall_e, tmp_path, monkeypatch, kind) -> None:
    theirs = published(dall_e, tmp_path / "encoder.pkl", monkeypatch)
    path = tmp_path / "encoder"
    if kind == "safetensors":
        safetensors.torch.save_file(theirs.state_dict(), path)
    else:
        torch.save({"state_dict": theirs.state_dict()} if kind == "state_dict" else theirs.state_dict(), path)
    first, second = load_image_tokenizer(tmp_path / "encoder.pkl", "cpu"), load_image_tokenizer(path, "cpu")
    assert torch.equal(first.encode(crops(2, 64), grid=8), second.encode(crops(2, 64), grid=8))
    assert first.digest != second.digest


def test_the_published_encoders_size() -> None:
    with torch.device("meta"):
        state = DalleEncoder().state_dict()
    assert sum(tensor.numel() for tensor in state.values()) == 53_786_240  # 215 MB in float32
    assert state["blocks.output.conv.w"].shape == (8192, 2048, 1, 1)
    with torch.device("meta"):
        assert DalleEncoder()(torch.empty(1, 3, 112, 112)).shape == (1, 8192, 14, 14)


class Command:
    """What an evil pickle holds: a call."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.target}",)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_runs_commands_is_refused_and_runs_none(tmp_path, zipped) -> None:
    path, target = tmp_path / "encoder.pkl", tmp_path / "ran"
    torch.save({"blocks.input.w": Command(target)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ImageTokenizerError, match="system"):
        load_image_tokenizer(path)
    assert not target.exists()


@pytest.mark.parametrize(
    "content", [b"", b"\x80\x02", b"PK\x03\x04", b"garbage garbage", b"\x10\0\0\0\0\0\0\0{broken json}}}"]
)
def test_other_bytes_are_refused(tmp_path, content) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(ImageTokenizerError, match="file"):
        load_image_tokenizer(path)


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(ImageTokenizerError, match=r"nothing\.pt"):
        load_image_tokenizer(tmp_path / "nothing.pt")


def test_other_tensors_and_missing_or_misshapen_ones_are_named(tmp_path) -> None:
    path = tmp_path / "encoder.pt"
    torch.save({"conv1.weight": torch.zeros(3)}, path)
    with pytest.raises(ImageTokenizerError, match=r"blocks\.input\.w"):
        load_image_tokenizer(path)
    state = DalleEncoder(width=8, vocabulary=9).state_dict()
    del state["blocks.group_2.block_1.id_path.w"]
    torch.save(state, path)
    with pytest.raises(ImageTokenizerError, match=r"Missing.*blocks\.group_2\.block_1\.id_path\.w"):
        load_image_tokenizer(path)


def autoencoder(**config: int) -> DiscreteAutoencoder:
    torch.manual_seed(0)
    model = DiscreteAutoencoder(AutoencoderConfig(**{"vocabulary": 32, "width": 8, **config}))
    model(torch.rand(8, 3, 32, 32))  # the codebook starts with the first batch
    return model.eval()


@pytest.mark.parametrize("factor", [4, 8, 16])
def test_an_autoencoder_comes_back_from_its_file(tmp_path, factor) -> None:
    model = autoencoder(factor=factor)
    digest = save_autoencoder(model, tmp_path / "new" / "faces.safetensors")
    tokenizer = load_image_tokenizer(tmp_path / "new" / "faces.safetensors", "cpu")
    pixels = crops(40, 48)
    tokens = tokenizer.encode(pixels, grid=48 // factor)
    assert tokenizer.digest == digest
    assert tokens.shape == (40, (48 // factor) ** 2)
    assert tokens.dtype == torch.int64
    assert torch.equal(tokens, model.codes(pixels.float() / 255).flatten(1))
    assert int(tokens.min()) >= 0 and int(tokens.max()) < tokenizer.vocabulary == 32


def test_tokens_do_not_depend_on_the_rest_of_the_batch(tmp_path) -> None:
    save_autoencoder(autoencoder(), tmp_path / "t.safetensors")
    tokenizer = load_image_tokenizer(tmp_path / "t.safetensors", "cpu")
    pixels = crops(33, 64)
    together = tokenizer.encode(pixels, grid=4)  # scaled to 32 pixels
    assert torch.equal(together, torch.cat([tokenizer.encode(pixel[None], grid=4) for pixel in pixels]))
    assert tokenizer.encode(pixels[:0], grid=4).shape == (0, 16)


def test_an_autoencoder_of_another_version_is_refused(tmp_path) -> None:
    path = tmp_path / "t.safetensors"
    state = {name: tensor.contiguous() for name, tensor in autoencoder().state_dict().items()}
    for config in ('{"vocabulary": 64, "width": 8}', '{"colour": 1}', "no json"):
        safetensors.torch.save_file(state, path, {CONFIG_KEY: config})
        with pytest.raises(ImageTokenizerError, match="this version"):
            load_image_tokenizer(path)


def test_gradients_pass_through_the_codebook() -> None:
    model = autoencoder().train()
    loss, _ = model.loss(torch.rand(4, 3, 32, 32))
    loss.backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())
    assert model.encoder[0].weight.grad.abs().sum() > 0


@given(st.lists(st.integers(0, 6), min_size=1, max_size=50))
@settings(max_examples=40, deadline=None)
def test_perplexity_is_exp_of_the_entropy_in_numpy(codes) -> None:
    use = CodebookUse(7)
    use.update(torch.zeros(1, 3, 2, 2), torch.full((1, 3, 2, 2), 0.1), torch.tensor(codes))
    share = np.bincount(codes) / len(codes)
    entropy = -sum(p * np.log(p) for p in share if p > 0)
    assert use.perplexity == pytest.approx(np.exp(entropy))
    assert use.codes_used == len(set(codes))
    assert use.psnr == pytest.approx(20, abs=1e-4)  # an error of 0.1 everywhere
