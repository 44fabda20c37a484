"""The range of input shapes that a plan is compiled for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rapport_edge.engines.base import TensorInfo
from rapport_edge.engines.feeds import Feeds, describe_shape
from rapport_edge.errors import ModelError


@dataclass(frozen=True, slots=True)
class ShapeRange:
    """Smallest, optimal and largest shape of one input."""

    name: str
    smallest: tuple[int, ...]
    optimal: tuple[int, ...]
    largest: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.name} {'/'.join('x'.join(map(str, s)) for s in (self.smallest, self.optimal, self.largest))}"


def shape_profile(
    inputs: Sequence[TensorInfo], max_batch: int, golden: Sequence[Feeds], model: str
) -> list[ShapeRange]:
    """Ranges for all inputs: the batch from 1 to `max_batch`, tuned for 1; every other axis fixed.

    Axes of any size besides the batch take the size that the golden inputs have.

    Raises:
        ModelError: if such an axis has no golden input to tell its size, or golden inputs differ in it.
    """
    ranges = []
    for info in inputs:
        rest = tuple(_fixed(info, axis, golden, model) for axis in range(1, len(info.shape)))
        batch = info.shape[0] if info.shape else None
        low, high = (1, max_batch) if batch is None else (batch, batch)
        head = [() if not info.shape else (size,) for size in (low, low, high)]
        ranges.append(ShapeRange(info.name, *(first + rest for first in head)))
    return ranges


def _fixed(info: TensorInfo, axis: int, golden: Sequence[Feeds], model: str) -> int:
    size = info.shape[axis]
    if size is not None:
        return size
    sizes = {feeds[info.name].shape[axis] for feeds in golden if info.name in feeds}
    if len(sizes) != 1:
        shape = describe_shape(info.shape)
        seen = f"have {sorted(sizes)}" if sizes else "do not tell"
        raise ModelError(f"{model}: input {info.name} {shape} has an axis {axis} of any size, and golden inputs {seen}")
    return int(sizes.pop())
