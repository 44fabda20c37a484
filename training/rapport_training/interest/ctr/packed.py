"""Behaviours of a batch without padding, as training has them; see `positions`."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from rapport_training.interest.ctr.best_columns import best_columns
from rapport_training.interest.ctr.segments import Spread, WeightedSum
from rapport_training.interest.ctr.step_order import StepOrder


class Packed:
    """Behaviours one after another, row by row, without padding.

    Attributes:
        lengths: (B,) int64, how many belong to each row.
        rows: (N,) int64, each one's row.
        starts: (B,) int64, where each row begins.
        width: the longest row.
    """

    def __init__(self, lengths: Tensor, width: int) -> None:
        self.lengths, self.width = lengths, width
        self.rows = torch.repeat_interleave(lengths)
        self.starts = lengths.cumsum(0) - lengths

    @cached_property
    def columns(self) -> Tensor:
        """(N,) int64: place in the row, the oldest is 0."""
        return torch.arange(len(self.rows), device=self.rows.device) - self.starts[self.rows]

    @cached_property
    def recency(self) -> Tensor:
        """P int64: how many behaviours of the row came later."""
        return (self.lengths - 1)[self.rows] - self.columns

    @cached_property
    def flat(self) -> Tensor:
        """(N,) int64: place in a padded (B * L)."""
        return self.rows * self.width + self.columns

    @cached_property
    def steps(self) -> StepOrder:
        """The order in which a recurrent network takes the behaviours."""
        return StepOrder.of(self.lengths, self.starts, self.width)

    def unpad(self, values: Tensor) -> Tensor:
        """(B, L, ...) -> P (...)."""
        return values.flatten(0, 1).index_select(0, self.flat)

    def pad(self, values: Tensor, fill: float = 0.0) -> Tensor:
        """P (...) -> (B, L, ...)."""
        shape = (len(self.lengths) * self.width, *values.shape[1:])
        return values.new_full(shape, fill).index_copy(0, self.flat, values).unflatten(0, (-1, self.width))

    def spread(self, values: Tensor) -> Tensor:
        """(B, F) -> P (F), or what broadcasts to it."""
        return Spread.apply(values, self.rows, self.starts)

    def total(self, values: Tensor) -> Tensor:
        """P (F) -> (B, F): sums."""
        return self.weighted(values.new_ones(len(values)), values)

    def products(self, rows: Tensor, values: Tensor, heads: int | None = None) -> Tensor:
        """(B, F) and P (F) -> P: each behaviour's product with its row's vector; S with heads, by parts of F."""
        rows = self.spread(rows)
        if heads is not None:
            rows, values = rows.unflatten(-1, (heads, -1)), values.unflatten(-1, (heads, -1))
        return torch.linalg.vecdot(values, rows)

    def weighted(self, weights: Tensor, values: Tensor) -> Tensor:
        """Weights P or S, and values P (F) -> (B, F): the weighted sums, by parts of F."""
        if weights.ndim == 1:
            return WeightedSum.apply(weights.to(values.dtype), values, self.rows, self.starts)
        parts = values.unflatten(-1, (weights.shape[-1], -1))
        return self.total((parts * weights[..., None]).flatten(-2))

    def softmax(self, scores: Tensor) -> Tensor:
        """P or S -> the same, over each row's behaviours."""
        return self.unpad(self.pad(scores.float(), -torch.inf).softmax(dim=1))

    def softmax_with(self, scores: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
        """S and (B, H) -> the same, over each row's behaviours and one more, such as the target itself."""
        together = torch.cat([self.pad(scores.float(), -torch.inf), own.float()[:, None]], dim=1).softmax(dim=1)
        return self.unpad(together[:, :-1]), together[:, -1]

    def mean(self, values: Tensor) -> Tensor:
        """P (F) -> (B, F); 0 for rows without behaviours."""
        return self.total(values) / self.lengths.clamp(min=1)[:, None]

    def top(self, scores: Tensor, count: int) -> tuple[Packed, Tensor]:
        """The positions of each row's `count` largest scores, in their order; -inf is never among them.

        Of equal scores the newest positions are taken.

        Returns:
            positions: of what was chosen.
            chosen: for `take`.
        """
        padded = self.pad(scores.detach(), -torch.inf)
        best = best_columns(padded, min(count, self.width))
        real = padded.gather(1, best) > -torch.inf
        columns = torch.where(real, best, self.width).sort(dim=1).values
        lengths = real.sum(dim=1)
        chosen = (columns + self.starts[:, None])[columns < self.width]
        return Packed(lengths, columns.shape[1]), chosen

    def take(self, values: Tensor, chosen: Tensor) -> Tensor:
        """P (F) -> the chosen positions' values."""
        return values.index_select(0, chosen)

    def newest(self, count: int) -> tuple[Packed, Tensor]:
        """Each row's newest `count`, and what to give to `take`."""
        lengths = self.lengths.clamp(max=count)
        return Packed(lengths, min(count, self.width)), torch.nonzero(self.recency < count)[:, 0]
