"""`rapport-train checkpoint`: what it prints of a file, and when it ends with status 2."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
import torch
from click.testing import CliRunner, Result
from clip_files import FARL_SHAPES, openai_constants

from rapport_edge.cli import RapportGroup
from rapport_training.demographic.checkpoints.command import checkpoint
from rapport_training.demographic.model import CLIP, build_model


def run(*words: object) -> Result:
    group = RapportGroup("rapport-train", commands={"checkpoint": checkpoint})
    assert isinstance(group, click.Group)
    return CliRunner().invoke(group, ["checkpoint", *map(str, words)])


@pytest.fixture(scope="module")
def model() -> CLIP:
    vision = {"layers": 1, "width": 64, "image_size": 32, "patch_size": 16}
    text = {"context_length": 8, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1}
    return build_model({"embed_dim": 16, "quick_gelu": True, "vision_cfg": vision, "text_cfg": text})


def test_farls_file_is_described(model: CLIP, tmp_path: Path) -> None:
    head = {f"visual.{name}": torch.zeros(2) for name in FARL_SHAPES}
    torch.save({"state_dict": {**model.state_dict(), **head}}, tmp_path / "FaRL.pth")
    done = run(tmp_path / "FaRL.pth")
    assert done.exit_code == 0, done.output
    count = sum(value.numel() for value in model.parameters())
    assert "layout       farl" in done.output
    assert f"dual encoder {len(model.state_dict())} tensors, {count:,} parameters" in done.output
    assert "image tower quick_gelu, text tower quick_gelu" in done.output
    assert "masked image head: 17 tensors, 34 parameters" in done.output


def test_precision_and_constants_are_named(model: CLIP, tmp_path: Path) -> None:
    state = {name: value.half() for name, value in model.state_dict().items()}
    torch.save({**state, **openai_constants(model)}, tmp_path / "a.pt")
    done = run(tmp_path / "a.pt")
    assert f"precision    {len(state)} float16" in done.output
    assert "no weights: input_resolution, context_length, vocab_size" in done.output


def test_a_file_that_fits_a_named_model_says_so(tmp_path: Path) -> None:
    with torch.device("meta"):
        state = build_model("ViT-S-32-alt").state_dict()
    torch.save({name: torch.ones(value.shape, dtype=torch.float16) for name, value in state.items()}, tmp_path / "a.pt")
    done = run(tmp_path / "a.pt", "--model", "ViT-S-32-alt")
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[-1] == "fits         ViT-S-32-alt"
    assert run(tmp_path / "a.pt", "--model", "ViT-S-16-alt").exit_code == 2


def test_what_a_user_did_wrong_ends_with_status_2_and_one_line(model: CLIP, tmp_path: Path) -> None:
    missing = run(tmp_path / "none.pt")
    assert missing.exit_code == 2
    assert missing.output.startswith("Error: there is no checkpoint")
    torch.save(model.state_dict(), tmp_path / "a.pt")
    other = run(tmp_path / "a.pt", "--model", "ViT-B-16-quickgelu")
    assert other.exit_code == 2
    assert "does not fit the model: " in other.output
    assert run(tmp_path / "a.pt", "--model", "nothing").exit_code == 2
