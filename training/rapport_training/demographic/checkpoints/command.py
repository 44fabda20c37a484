"""`rapport-train checkpoint`: what is in a file of weights."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from rapport_training.demographic.checkpoints.layouts import Checkpoint


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--model", "name", help="A model of open_clip, such as ViT-B-16-quickgelu, that the file must fit.")
@click.option("--resize-positions", is_flag=True, help="Resize position embeddings to those of --model.")
def checkpoint(file: Path, name: str | None, resize_positions: bool) -> None:
    """Prints a checkpoint's layout, size and precision, and whether it fits a model.

    FILE is a file of weights in any layout, or a folder with model.safetensors. Nothing in it is ever run.
    """
    from rapport_training.demographic.checkpoints.layouts import read_checkpoint

    found = read_checkpoint(file)
    for line in _lines(found):
        click.echo(line)
    if name is None:
        return
    import torch

    from rapport_training.demographic.checkpoints.loading import fitted
    from rapport_training.demographic.model import build_model

    with torch.device("meta"):  # names and shapes are all that is needed
        model = build_model(name)
    fitted(model, found, resize_positions=resize_positions)
    click.echo(f"fits         {name}")


def _lines(found: Checkpoint) -> list[str]:
    from rapport_training.demographic.checkpoints.traits import traits_of_checkpoint

    tensors = [*found.weights.values(), *found.masked_image.values()]
    kinds = Counter(str(tensor.dtype).removeprefix("torch.") for tensor in tensors)
    activations = {tower: traits.activation or "not stated" for tower, traits in traits_of_checkpoint(found).items()}
    lines = [
        f"file         {found.file}",
        f"layout       {found.layout}",
        f"dual encoder {len(found.weights)} tensors, {_count(found.weights.values()):,} parameters",
        "precision    " + ", ".join(f"{count} {kind}" for kind, count in kinds.most_common()),
        "activation   " + ", ".join(f"{tower} tower {activation}" for tower, activation in activations.items()),
    ]
    if found.masked_image:
        count = _count(found.masked_image.values())
        lines.append(f"extra        masked image head: {len(found.masked_image)} tensors, {count:,} parameters")
    if found.ignored:
        lines.append(f"extra        no weights: {', '.join(found.ignored)}")
    return lines


def _count(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() for tensor in tensors)
