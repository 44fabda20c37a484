"""Recipes, results and commands that the tests of evaluation share."""

from __future__ import annotations

from pathlib import Path

from rapport_edge.cli import RapportGroup
from rapport_training.demographic.evaluation.commands import evaluate, query, table
from rapport_training.demographic.evaluation.result import DataSummary, Result, Retrieval
from rapport_training.demographic.evaluation.retrieval import Figures, Setting

RECIPE = """
name: tiny
model:
  embed_dim: 16
  vision_cfg: {image_size: 32, patch_size: 16, width: 16, head_width: 8, layers: 1}
  text_cfg: {context_length: 40, vocab_size: 49408, width: 16, heads: 2, layers: 1}
stages: [{from_epoch: 0, size: 32}]
epochs: 1
batch_size: 32
warmup_steps: 1
ema_decay: 0.0
"""

SUITE = """
name: tiny-suite
paper: true
data: {fairuser: FairUser, genuser: GenUser}
models:
  - {label: CLIP, weights: start, recipes: {out_of_the_box: RECIPE, fairuser: RECIPE, genuser: RECIPE}}
  - {label: FaRL, weights: other, image_tokenizer: dalle, recipes: {out_of_the_box: RECIPE, fairuser: RECIPE}}
seeds: [0, 1]
settings: [{pool: whole, match: profile}, {pool: 8, match: image}]
"""

WHOLE = Setting(pool="whole", match="profile")

commands = RapportGroup(commands={command.name: command for command in (table, query, evaluate)})


def write_recipe(folder: Path) -> Path:
    path = folder / "tiny.yaml"
    path.write_text(RECIPE)
    return path


def write_suite(folder: Path, text: str = SUITE) -> Path:
    path = folder / "suite.yaml"
    path.write_text(text.replace("RECIPE", str(write_recipe(folder))))
    return path


def random_weights(folder: Path, seed: int = 0) -> Path:
    """A checkpoint of the tiny model, as safetensors."""
    import torch
    from safetensors.torch import save_file

    from rapport_training.demographic.model import build_model
    from rapport_training.demographic.recipe import load_recipe

    torch.manual_seed(seed)
    model = build_model(load_recipe(write_recipe(folder)).model)
    path = folder / f"weights-{seed}.safetensors"
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, path)
    return path


def result(label: str, variant: str, data: str, accuracy: float, seed: int | None = None, size: int = 100) -> Result:
    """A result whose four metrics are all `accuracy`."""
    figures = Figures(
        accuracy=accuracy,
        recall=accuracy,
        precision=accuracy,
        f1=accuracy,
        chance=0.01,
        ceiling=1.0,
        queries=size,
        classes=50,
    )
    name = {"fairuser": "FairUser", "genuser": "GenUser"}[data]
    summary = DataSummary(
        name=name, sizes=(8 * size, size, size), digests=("a" * 64, "b" * 64, "c" * 64), profiles=50, landmarks=1.0
    )
    return Result(
        label=label,
        variant=variant,
        seed=seed,
        model="d" * 64,
        data=data,
        summary=summary,
        retrieval=[Retrieval(setting=WHOLE, figures=figures)],
        by_pool=[Retrieval(setting=WHOLE, figures=figures)],
        zero_shot=None,
        probe=None,
        skipped={"attributes": "not asked for"},
        seconds=1.0,
    )
