"""Measures whether the loader keeps up with the model: images/s of either, and their ratio.

    python training/benchmarks/loader.py --data data/fairuser

Pictures are decoded, aligned and augmented by 0 (the training's own process), 1, 2 ... workers. The model's rate is
that of the image tower's forward and backward pass, on a GPU with bfloat16 where there is one. Loaders and towers take
turns, and of each the best round counts, because other programs use the machine too. "of a core" is images per second
of processor time, which other programs change less; it is not known for workers.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from itertools import chain, product, repeat
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from rapport_edge.alignment import CropTemplate
from rapport_training.data.user_faces import UserFaces
from rapport_training.demographic.commands import recipe_path
from rapport_training.demographic.dataset import FaceCrops, use_one_opencv_thread
from rapport_training.demographic.fit import as_it_is
from rapport_training.demographic.model import build_model
from rapport_training.demographic.recipe import load_recipe


class Speed(NamedTuple):
    """Images per second of the clock, and per second of processor time of this process."""

    wall: float
    core: float


Rate = Callable[[float], Speed]

TOWERS = {"compact": ("demographic-tiny", 80, 64), "ViT-B/16": ("clip-fairuser", 224, 8)}
AUGMENTATIONS = ("none", "robot", "flyp")
LOADER_BATCH = 64


def loader_rate(faces: UserFaces, size: int, augmentation: str, workers: int) -> Rate:
    """Images/s of a loader, measured for a while; the start of the workers and their first batches do not count."""
    crops = FaceCrops(faces, np.arange(len(faces)), CropTemplate(size, 1.05, -0.1), 0, augmentation)
    loader = DataLoader(crops, LOADER_BATCH, shuffle=True, num_workers=workers, collate_fn=as_it_is)

    def measure(seconds: float) -> Speed:
        batches: Iterator[object] = chain.from_iterable(repeat(loader))
        for _ in range(1 + 3 * workers):  # more than a worker has ready
            next(batches)
        return _rate(lambda: next(batches), LOADER_BATCH, seconds)

    return measure


def tower_rate(recipe: str, size: int, batch: int, device: torch.device) -> Rate:
    """Images/s of an image tower's forward and backward pass."""
    tower: nn.Module = build_model(load_recipe(recipe_path(recipe)).model).visual.to(device)
    tower = tower.to(memory_format=torch.channels_last).train()
    pixels = torch.randn(batch, 3, size, size, device=device).to(memory_format=torch.channels_last)

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            tower(pixels).square().mean().backward()
        tower.zero_grad(set_to_none=True)
        if device.type == "cuda":
            torch.cuda.synchronize()

    def measure(seconds: float) -> Speed:
        step()
        return _rate(step, batch, seconds)

    return measure


def _rate(step: Callable[[], object], images: int, seconds: float) -> Speed:
    start, busy, steps = time.perf_counter(), time.process_time(), 0
    while (elapsed := time.perf_counter() - start) < seconds or steps < 3:
        step()
        steps += 1
    return Speed(images * steps / elapsed, images * steps / (time.process_time() - busy))


def best_of(rates: dict[str, Rate], rounds: int, seconds: float) -> dict[str, Speed]:
    """The best of several rounds; all take part in a round before the next begins."""
    found = [{name: rate(seconds) for name, rate in rates.items()} for _ in range(rounds)]
    return {name: Speed(*np.max([round_[name] for round_ in found], axis=0)) for name in rates}


def row(name: str, size: int, case: tuple[str, int], loader: Speed, tower: Speed) -> str:
    """A line of the table."""
    augmentation, workers = case
    core = f"{loader.core:.0f}" if workers == 0 else "–"
    cells = (name, size, augmentation, workers, f"{loader.wall:.0f}", core, f"{tower.wall:.1f}", f"{tower.core:.1f}")
    return "| " + " | ".join(map(str, (*cells, f"{loader.wall / tower.wall:.1f}"))) + " |"


@click.command()
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder of a data set.")
@click.option("--workers", multiple=True, type=int, default=(0, 1, 2), show_default=True)
@click.option("--seconds", default=3.0, show_default=True, help="Per measurement and round.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--threads", default=0, help="Of a tower on the CPU.  [default: all cores]")
def main(data: Path, workers: tuple[int, ...], seconds: float, rounds: int, threads: int) -> None:
    """Prints a table in Markdown; rates are images/s."""
    torch.set_num_threads(threads or os.cpu_count() or 1)
    use_one_opencv_thread()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    faces = UserFaces.open(data, "train")
    click.echo(f"{len(faces)} faces, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, towers on {device}\n")
    click.echo("| tower | crop | augmentation | workers | loader | of a core | tower | of a core | loader / tower |")
    click.echo("| --- | --: | --- | --: | --: | --: | --: | --: | --: |")
    for name, (recipe, size, batch) in TOWERS.items():
        rates = {"tower": tower_rate(recipe, size, batch, device)}
        cases = list(product(AUGMENTATIONS, workers))
        rates |= {f"{case}": loader_rate(faces, size, *case) for case in cases}
        found = best_of(rates, rounds, seconds)
        for case in cases:
            click.echo(row(name, size, case, found[f"{case}"], found["tower"]))


if __name__ == "__main__":
    main()
