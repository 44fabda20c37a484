"""Which patches of a picture are hidden: single ones at random, or blocks as in BEiT (Bao et al. 2021, algorithm 1).

Every picture of a batch hides the same number of patches, so that the classifier's input keeps one shape.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rapport_edge.errors import SettingsError

MaskKind = Literal["block", "random"]
Masks = NDArray[np.bool_]

#: BEiT's smallest block in patches, and the most that its height may exceed its width (or the reverse).
MIN_BLOCK = 16
MAX_ASPECT = 1 / 0.3


def draw_masks(kind: MaskKind, count: int, grid: int, masked: int, rng: np.random.Generator) -> Tensor:
    """Masks for a batch.

    Args:
        kind: "random" patches or "block" for rectangles of patches.
        count: pictures.
        grid: patches along a side.
        masked: patches hidden in each picture, 1 to grid * grid - 1.
        rng: decides which; equal states give equal masks.

    Returns:
        (count, grid * grid) bool, row by row of the picture; exactly `masked` are True in each.

    Raises:
        SettingsError: if `masked` is out of its range or `kind` unknown.
    """
    if not 0 < masked < grid * grid:
        raise SettingsError(f"{masked} of {grid * grid} patches cannot be masked: at least one, and not all")
    if kind == "random":
        return torch.from_numpy(_random(count, grid * grid, masked, rng))
    if kind == "block":
        return torch.from_numpy(_blocks(count, grid, masked, rng))
    raise SettingsError(f"masks of kind {kind!r} do not exist; choose block or random")


def _random(count: int, patches: int, masked: int, rng: np.random.Generator) -> Masks:
    chosen = np.argpartition(rng.random((count, patches), dtype=np.float32), masked, axis=1)[:, :masked]
    masks = np.zeros((count, patches), dtype=bool)
    np.put_along_axis(masks, chosen, True, axis=1)
    return masks


def _blocks(count: int, grid: int, masked: int, rng: np.random.Generator) -> Masks:
    """All pictures at once: each round adds one block to every picture that is not done.

    The last block covers as many new patches as are missing: its rows from one end on, top or bottom by chance.
    """
    masks = np.zeros((count, grid * grid), dtype=bool)
    missing = np.full(count, masked)
    open_ = np.arange(count)
    while len(open_):
        new = _block(missing[open_], grid, rng).reshape(len(open_), -1) & ~masks[open_]
        from_below = rng.random(len(open_)) < 0.5
        new[from_below] = new[from_below, ::-1]
        new &= np.cumsum(new, axis=1) <= missing[open_, None]
        new[from_below] = new[from_below, ::-1]
        masks[open_] |= new
        missing[open_] -= new.sum(axis=1)
        open_ = open_[missing[open_] > 0]
    return masks


def _block(missing: NDArray[np.int64], grid: int, rng: np.random.Generator) -> Masks:
    """(n, grid, grid): one rectangle each, of 16 patches to as many as are missing, at a uniform place."""
    n = len(missing)
    # A grid too small for BEiT's smallest block gets blocks of half its patches at most.
    smallest = min(MIN_BLOCK, grid * grid // 2)
    area = rng.uniform(smallest, np.maximum(smallest, missing))
    aspect = np.exp(rng.uniform(-np.log(MAX_ASPECT), np.log(MAX_ASPECT), n))
    height, width = _sides(area, aspect, grid)
    top = rng.integers(0, grid - height + 1)
    left = rng.integers(0, grid - width + 1)
    line = np.arange(grid)
    rows = (line >= top[:, None]) & (line < (top + height)[:, None])
    columns = (line >= left[:, None]) & (line < (left + width)[:, None])
    return rows[:, :, None] & columns[:, None, :]


def _sides(
    area: NDArray[np.float64], aspect: NDArray[np.float64], grid: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Whole patches; rounded so that the block holds at least `area` of them, and cut to the grid's length."""
    height = np.clip(np.rint(np.sqrt(area * aspect)), np.ceil(area / grid), grid)
    width = np.ceil(area / height)
    return height.astype(int), width.astype(int)
