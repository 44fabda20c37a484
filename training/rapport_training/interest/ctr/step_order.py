"""Packed positions step by step, for what goes through a sequence one behaviour at a time."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class StepOrder:
    """The first behaviour of every row, then the second of those that have one, and so on, the longest rows first.

    Attributes:
        positions: (N,) int64, packed positions in this order.
        places: (N,) int64, where each packed position is in it.
        counts: rows that take part in each step.
        rows: (R,) int64, the rows that have any, longest first.
        last: (R,) int64, where the last behaviour of each of them is in it.
    """

    positions: Tensor
    places: Tensor
    counts: list[int]
    rows: Tensor
    last: Tensor

    @classmethod
    def of(cls, lengths: Tensor, starts: Tensor, width: int) -> StepOrder:
        """The order for rows of `lengths` (B,) that begin at `starts` (B,), the longest of which has `width`."""
        longest_first = torch.argsort(lengths, descending=True, stable=True)
        steps = torch.arange(width, device=lengths.device)[:, None]
        step, place = torch.nonzero(steps < lengths[longest_first], as_tuple=True)
        positions = starts[longest_first][place] + step
        places = torch.empty_like(positions)
        places[positions] = torch.arange(len(positions), device=positions.device)
        counts = [count for count in torch.bincount(step, minlength=width).tolist() if count]
        rows = longest_first[: counts[0] if counts else 0]
        return cls(positions, places, counts, rows, places[(starts + lengths - 1)[rows]])
