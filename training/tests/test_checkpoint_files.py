"""Formats that are read, programs in disguise, damage: what a file may be before it is looked at as a model's."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from clip_files import openai_constants, openai_precision, write_torchscript
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

pytest.importorskip("transformers", reason="its CLIPModel writes some of the files")
from small_clip import TEXT, VISION, refusal, save, small, transformers_pair

from rapport_training.demographic.checkpoints import CheckpointError, load_weights
from rapport_training.demographic.checkpoints.torchscript import read_torchscript
from rapport_training.demographic.model import CLIP, build_model

# TorchScript is old; OpenAI's files are written in it nevertheless.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return dict(small().state_dict())


# Formats


def test_pytorchs_old_format_is_read(state: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(state, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    model = small()
    nn.init.zeros_(model.visual.proj)
    assert load_weights(model, tmp_path / "old.pt").layout == "open_clip"
    assert torch.equal(model.visual.proj, state["visual.proj"])


def test_a_torchscript_archive_is_read_as_pytorch_itself_reads_it(state: dict[str, Tensor], tmp_path: Path) -> None:
    write_torchscript(openai_precision(state), openai_constants(small()), tmp_path / "a.pt")
    expected = torch.jit.load(tmp_path / "a.pt").state_dict()
    found = read_torchscript(tmp_path / "a.pt")
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].dtype == value.dtype
        assert torch.equal(found[name], value), name


def test_an_attribute_of_a_torchscript_module_that_is_no_parameter_is_left_out(tmp_path: Path) -> None:
    class WithMask(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(2, 3)[:, 1:])  # a view of its storage
            self.mask = torch.zeros(4)
            self.sizes = [224, 224]
            self.names = {"a": 1}
            self.place = torch.device("cpu")

        def forward(self, x: Tensor) -> Tensor:
            return (x @ self.weight.T + self.mask.sum() + self.sizes[0] + self.names["a"]).to(self.place)

    torch.jit.save(torch.jit.script(WithMask()), str(tmp_path / "a.pt"))
    assert list(read_torchscript(tmp_path / "a.pt")) == ["weight"]


def test_transformers_old_file_with_position_numbers_is_read(state: dict[str, Tensor], tmp_path: Path) -> None:
    folder = transformers_pair(state, tmp_path / "hf")
    ids = {"text_model.embeddings.position_ids": torch.arange(12)[None]}
    torch.save({**load_file(folder / "model.safetensors"), **ids}, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    model = small()
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    assert load_weights(model, folder).layout == "transformers"
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


# Programs in disguise


class Program:
    """What an attacker would put into a checkpoint."""

    def __init__(self, creates: Path) -> None:
        self.creates = creates

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.creates}",)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_would_run_a_program_is_refused(state: dict[str, Tensor], tmp_path: Path, zipped: bool) -> None:
    path, creates = tmp_path / "evil.pt", tmp_path / "created"
    torch.save({"state_dict": state, "hook": Program(creates)}, path, _use_new_zipfile_serialization=zipped)
    assert "would call posix.system" in refusal(path)
    assert not creates.exists()
    torch.load(path, weights_only=False)  # the file does what it is feared for
    assert creates.exists()


class WritesAFile(nn.Module):
    """Its `__setstate__` is compiled into the archive, and `torch.jit.load` runs it."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))
        self.name = name

    @torch.jit.export
    def __getstate__(self):
        return self.weight, self.name, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[torch.Tensor, str, bool]):
        self.weight = state[0]
        self.name = state[1]
        self.training = state[2]
        torch.save(torch.ones(1), self.name)

    def forward(self, x: torch.Tensor):
        return x * self.weight


def test_a_torchscript_archive_that_would_write_a_file_is_refused(tmp_path: Path) -> None:
    path, creates = tmp_path / "evil.pt", tmp_path / "created"
    torch.jit.save(torch.jit.script(WritesAFile(str(creates))), str(path))
    assert "would call WritesAFile.__setstate__" in refusal(path)
    assert not creates.exists()
    torch.jit.load(str(path))
    assert creates.exists()


def test_a_state_dict_with_anything_but_tensors_is_refused(state: dict[str, Tensor], tmp_path: Path) -> None:
    assert "'epoch' is a int, not a dense tensor" in refusal(save({**state, "epoch": 3}, tmp_path / "a.pt"))
    assert "'state_dict' is a list" in refusal(save({"state_dict": [1]}, tmp_path / "a.pt"))
    assert "holds a Tensor" in refusal(save(torch.ones(2), tmp_path / "a.pt"))
    assert "it is empty" in refusal(save({}, tmp_path / "a.pt"))


# Damage, and files of another kind


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 354355280\n", "git lfs pull"),
        (b"<!DOCTYPE html><html>404</html>", "web page"),
        (b"these are not weights\n", "text file"),
        (b"\x00\x01\x02\x03" * 40, "neither"),
        (b"PK\x05\x06" + bytes(18), "neither"),
        (pickle.dumps({"a": 1}), "its pickle cannot be read"),
    ],
    ids=["empty", "lfs", "html", "text", "binary", "empty zip", "plain pickle"],
)
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_file_that_is_no_checkpoint_is_called_what_it_is(content: bytes, word: str, tmp_path: Path) -> None:
    (tmp_path / "ViT-B-16.pt").write_bytes(content)
    assert word in refusal(tmp_path / "ViT-B-16.pt")


def test_a_missing_file_and_a_folder_without_weights_are_named(tmp_path: Path) -> None:
    assert "there is no checkpoint" in refusal(tmp_path / "none.pt")
    assert "model.safetensors" in refusal(tmp_path)


def write_zip(state: dict[str, Tensor], path: Path) -> None:
    torch.save(state, path)


def write_old(state: dict[str, Tensor], path: Path) -> None:
    torch.save(state, path, _use_new_zipfile_serialization=False)


def write_archive(state: dict[str, Tensor], path: Path) -> None:
    write_torchscript(state, {}, path)


WRITERS = [write_zip, write_old, save_file, write_archive]


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
@pytest.mark.parametrize("share", [0.1, 0.6, 0.99])
def test_a_truncated_file_is_refused(
    state: dict[str, Tensor], tmp_path: Path, write: Callable[[dict[str, Tensor], Path], None], share: float
) -> None:
    path = tmp_path / "weights"
    write(state, path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert "damaged" in refusal(path)


@pytest.fixture(scope="module")
def tiny_files(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Two tensors in each format: most of the bytes are structure."""
    path = tmp_path_factory.mktemp("tiny") / "weights"
    found = []
    for write in WRITERS:
        write({"visual.proj": torch.ones(2, 3), "ln.weight": torch.ones(2)}, path)
        found.append(path.read_bytes())
    return found


@pytest.fixture(scope="module")
def empty_model() -> CLIP:
    """Has names and shapes, and no numbers."""
    with torch.device("meta"):
        return build_model({"embed_dim": 16, "vision_cfg": VISION, "text_cfg": TEXT})


@settings(max_examples=200)
@given(data=st.data())
def test_a_damaged_file_is_refused_and_nothing_else_happens(
    tiny_files: list[bytes], empty_model: CLIP, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(data.draw(st.sampled_from(tiny_files)))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "weights"
    path.write_bytes(content)
    # Numbers may change unseen where a format has no checksum; these two tensors never fit the model.
    with pytest.raises(CheckpointError):
        load_weights(empty_model, path)
