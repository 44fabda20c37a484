"""CLIP's ViT-B/16 and FaRL at their true size, in every layout: each gives what transformers' CLIPModel gives."""

from __future__ import annotations

import gc
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from clip_files import (
    FARL_SHAPES,
    farl_head,
    fill_transformers,
    give_lively_weights,
    openai_constants,
    openai_precision,
    write_torchscript,
)
from safetensors.torch import save_file
from torch import Tensor

from rapport_edge.alignment import resize_whole
from rapport_edge.images import decode_compressed
from rapport_training.demographic.checkpoints import CheckpointError, load_weights
from rapport_training.demographic.model import CLIP, build_model, build_tokenizer
from rapport_training.demographic.pixels import CLIP_PIXELS, normalise

transformers = pytest.importorskip("transformers", reason="its CLIPModel is the second implementation")

# TorchScript is old; OpenAI's files are written in it nevertheless.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")

NAME = "ViT-B-16-quickgelu"
CAPTIONS = ["The person appears to be black female, approximately 20-29 years old", "a photo of an elderly man"]
State = Mapping[str, Tensor]


@dataclass
class Source:
    """One set of weights, what transformers computes with it, and a model to load files into.

    Attributes:
        model: holds `state` itself, so it costs no memory of its own.
        folder: transformers' own files of these weights.
        images, texts: (2, 512) features that transformers' CLIPModel gives.
    """

    model: CLIP
    state: State
    folder: Path
    pixels: Tensor
    tokens: Tensor
    images: Tensor
    texts: Tensor
    target: CLIP


@pytest.fixture(scope="module")
def source(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Source]:
    folder = tmp_path_factory.mktemp("transformers")
    model = build_model(NAME).eval()
    give_lively_weights(model)
    faces = pq.read_table(shared_data / "fairface" / "val.parquet", columns=["image"]).slice(0, 2)["image"].to_pylist()
    crops = torch.stack([torch.from_numpy(resize_whole(decode_compressed(face), 224)) for face in faces])
    pixels, tokens = normalise(crops.permute(0, 3, 1, 2), CLIP_PIXELS), build_tokenizer(NAME)(CAPTIONS)
    images, texts = reference(model, pixels, tokens, folder)
    yield Source(model, model.state_dict(), folder, pixels, tokens, images, texts, build_model(NAME).eval())
    shutil.rmtree(folder)


@torch.no_grad()
def reference(model: CLIP, pixels: Tensor, tokens: Tensor, folder: Path) -> tuple[Tensor, Tensor]:
    """Features by transformers, which also writes its files: config.json and model.safetensors."""
    config = transformers.CLIPConfig(
        vision_config={"patch_size": 16, "projection_dim": 512}, text_config={"eos_token_id": 2}, projection_dim=512
    )
    other = transformers.CLIPModel(config).eval()
    fill_transformers(other, model)
    other.save_pretrained(folder)
    images = other.get_image_features(pixel_values=pixels).pooler_output
    texts = other.get_text_features(input_ids=tokens).pooler_output
    del other
    gc.collect()
    return images, texts


def openai_archive(source: Source, path: Path) -> None:
    write_torchscript(openai_precision(source.state), openai_constants(source.model), path)


def openai_state(source: Source, path: Path) -> None:
    torch.save({**openai_precision(source.state), **openai_constants(source.model)}, path)


def open_clip_training(source: Source, path: Path) -> None:
    state = {f"module.{name}": value for name, value in source.state.items()}
    torch.save({"epoch": 3, "name": "a-run", "state_dict": state, "optimizer": {"param_groups": []}}, path)


def open_clip_safetensors(source: Source, path: Path) -> None:
    save_file(dict(source.state), path)


def transformers_folder(source: Source, path: Path) -> None:
    path.symlink_to(source.folder, target_is_directory=True)


def farl(source: Source, path: Path) -> None:
    torch.save({"state_dict": {**source.state, **{f"visual.{k}": v for k, v in farl_head().items()}}}, path)


def run(source: Source, path: Path) -> None:
    state = {f"model.{name}": value for name, value in source.state.items()}
    state |= {f"masked_image.{name}": value for name, value in farl_head().items()}
    torch.save({"pytorch-lightning_version": "2.6.0", "epoch": 1, "global_step": 9, "state_dict": state}, path)


WRITERS: dict[Callable[[Source, Path], None], str] = {
    openai_archive: "openai",
    openai_state: "openai",
    open_clip_training: "open_clip",
    open_clip_safetensors: "open_clip",
    transformers_folder: "transformers",
    farl: "farl",
    run: "run",
}


@pytest.mark.slow
@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
@torch.no_grad()
def test_a_file_of_each_layout_gives_what_transformers_gives(
    source: Source,
    tmp_path: Path,
    write: Callable[[Source, Path], None],
    record_property: Callable[[str, object], None],
) -> None:
    target = source.target
    for parameter in target.parameters():
        parameter.fill_(float("nan"))  # nothing may remain of what was there
    path = tmp_path / "weights"  # a name that says nothing
    write(source, path)
    loaded = load_weights(target, path)
    if path.is_file():
        path.unlink()
    assert loaded.layout == WRITERS[write]
    assert {value.dtype for value in target.state_dict().values()} == {torch.float32}
    images, texts = target.encode_image(source.pixels), target.encode_text(source.tokens)
    assert relative(images, source.images) <= 1e-5
    assert relative(texts, source.texts) <= 1e-5
    expected = farl_head() if write in (farl, run) else {}
    assert loaded.masked_image.keys() == expected.keys()
    assert all(torch.equal(loaded.masked_image[name], value) for name, value in expected.items())


def relative(found: Tensor, expected: Tensor) -> float:
    """The largest difference as a share of the largest feature."""
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.slow
@torch.no_grad()
def test_the_activation_matters_and_the_wrong_one_is_refused(source: Source, tmp_path: Path) -> None:
    other = build_model("ViT-B-16").eval()
    other.load_state_dict(source.state)  # fits in name and shape
    # A thousand times the difference between the two implementations of the right activation.
    assert relative(other.encode_image(source.pixels), source.images) > 1e-3
    assert relative(other.encode_text(source.tokens), source.texts) > 1e-3
    openai_state(source, tmp_path / "ViT-B-16.pt")
    for file in (tmp_path / "ViT-B-16.pt", source.folder):
        with pytest.raises(CheckpointError, match=r"activation quick_gelu .* the model has gelu"):
            load_weights(other, file)
    (tmp_path / "ViT-B-16.pt").unlink()


def test_the_files_have_the_true_number_of_tensors_and_parameters() -> None:
    with torch.device("meta"):
        state = build_model(NAME).state_dict()
    assert len(state) == 302
    assert sum(value.numel() for value in state.values()) == 149_620_737
    assert len(FARL_SHAPES) == 17
    assert sum(torch.Size(shape).numel() for shape in FARL_SHAPES.values()) == 13_389_824
