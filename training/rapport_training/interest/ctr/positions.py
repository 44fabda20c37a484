"""Where the behaviours of a batch lie: packed for training, padded for export.

Behaviour models are written once, over these few operations, and so cannot see padding: a packed batch has none, and
a padded one's sums and softmaxes leave it out.

P stands for the shape of positions: (N,) packed, where N is the number of behaviours of the whole batch, and (B, L)
padded. A padded history of batch 1 belongs to every row: one user's history, many candidates.
"""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

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

    def weighted(self, weights: Tensor, values: Tensor) -> Tensor:
        """Weights P and values P (F) -> (B, F): the weighted sums."""
        return WeightedSum.apply(weights.to(values.dtype), values, self.rows, self.starts)

    def softmax(self, scores: Tensor) -> Tensor:
        """P (H) -> P (H), over each row's behaviours."""
        scores = scores.float()
        return self.unpad(self.pad(scores, -torch.inf).softmax(dim=1))

    def mean(self, values: Tensor) -> Tensor:
        """P (F) -> (B, F); 0 for rows without behaviours."""
        return self.total(values) / self.lengths.clamp(min=1)[:, None]

    def largest(self, scores: Tensor) -> Tensor:
        """P -> (B,): each row's largest; 0 for rows without behaviours. Not differentiable."""
        found = self.pad(scores.detach(), -torch.inf).amax(dim=1)
        return torch.where(self.lengths > 0, found, 0.0)

    def top(self, scores: Tensor, count: int) -> tuple[Packed, Tensor]:
        """The positions of each row's `count` largest scores, in their order; -inf is never among them.

        Of equal scores the newest positions are taken.

        Returns:
            positions: of what was chosen.
            chosen: for `take`.
        """
        padded = self.pad(scores.detach(), -torch.inf)
        best = _best(padded, min(count, self.width))
        real = padded.gather(1, best) > -torch.inf
        columns = torch.where(real, best, self.width).sort(dim=1).values
        lengths = real.sum(dim=1)
        chosen = (columns + self.starts[:, None])[columns < self.width]
        return Packed(lengths, columns.shape[1]), chosen

    def take(self, values: Tensor, chosen: Tensor) -> Tensor:
        """P (F) -> the chosen positions' values."""
        return values.index_select(0, chosen)

    def is_shared(self, values: Tensor) -> bool:
        """Whether P (F) values belong to all rows, so that what is computed of them comes before `take`."""
        return False

    def newest(self, count: int) -> tuple[Packed, Tensor]:
        """Each row's newest `count`, and what to give to `take`."""
        lengths = self.lengths.clamp(max=count)
        return Packed(lengths, min(count, self.width)), torch.nonzero(self.recency < count)[:, 0]


class Padded:
    """Behaviours in rows of equal length; for export, whose graphs need fixed shapes. Not for training.

    Attributes:
        mask: (B or 1, L) bool, True for behaviours; a row's behaviours come first, oldest first.
    """

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask

    @property
    def lengths(self) -> Tensor:
        """(B or 1,) int64."""
        return self.mask.sum(dim=1)

    @property
    def recency(self) -> Tensor:
        """P int64: how many behaviours of the row came later."""
        place = torch.arange(self.mask.shape[1], device=self.mask.device)
        return (self.lengths[:, None] - 1 - place).clamp(min=0)

    def unpad(self, values: Tensor) -> Tensor:
        """(B, L, ...) -> P (...)."""
        return values

    def pad(self, values: Tensor, fill: float = 0.0) -> Tensor:
        """P (...) -> (B, L, ...)."""
        mask = self.mask.reshape(*self.mask.shape, *([1] * (values.ndim - 2)))
        return torch.where(mask, values, fill)

    def spread(self, values: Tensor) -> Tensor:
        """(B, F) -> P (F), or what broadcasts to it."""
        return values[:, None]

    def total(self, values: Tensor) -> Tensor:
        """P (F) -> (B, F): sums."""
        return self.pad(values).sum(dim=1)

    def weighted(self, weights: Tensor, values: Tensor) -> Tensor:
        """Weights P and values P (F) -> (B, F): the weighted sums."""
        # Padded values may be anything, so that zero weights alone would not hide a NaN.
        return torch.matmul(self.pad(weights)[:, None], self.pad(values))[:, 0]

    def softmax(self, scores: Tensor) -> Tensor:
        """P (H) -> P (H), over each row's behaviours."""
        return self.pad(self.pad(scores, torch.finfo(scores.dtype).min).softmax(dim=1))

    def mean(self, values: Tensor) -> Tensor:
        """P (F) -> (B, F); 0 for rows without behaviours."""
        return self.total(values) / self.lengths.clamp(min=1)[:, None]

    def largest(self, scores: Tensor) -> Tensor:
        """P -> (B,): each row's largest; 0 for rows without behaviours."""
        return torch.where(self.lengths > 0, self.pad(scores, torch.finfo(scores.dtype).min).amax(dim=1), 0.0)

    def top(self, scores: Tensor, count: int) -> tuple[Padded, Tensor]:
        """The positions of each row's `count` largest scores, in their order; see `Packed.top`."""
        padded = self.pad(scores, -torch.inf)
        best = _best(padded, min(count, self.mask.shape[1]))
        real = padded.gather(1, best) > -torch.inf
        columns = torch.where(real, best, self.mask.shape[1]).sort(dim=1).values
        real = columns < self.mask.shape[1]
        return Padded(real), torch.where(real, columns, 0)

    def take(self, values: Tensor, chosen: Tensor) -> Tensor:
        """P (F) -> the chosen positions' values."""
        if self.is_shared(values):
            return values[0].index_select(0, chosen.flatten()).reshape(*chosen.shape, *values.shape[2:])
        expanded = values.expand(chosen.shape[0], *values.shape[1:])
        index = chosen.reshape(*chosen.shape, *([1] * (values.ndim - 2)))
        return expanded.gather(1, index.expand(*chosen.shape, *values.shape[2:]))

    def is_shared(self, values: Tensor) -> bool:
        """Whether P (F) values belong to all rows, so that what is computed of them comes before `take`."""
        return values.shape[0] == 1

    def newest(self, count: int) -> tuple[Padded, Tensor]:
        """Each row's newest `count`, and what to give to `take`."""
        return self.top(-self.recency.to(torch.float32), count)


Positions = Packed | Padded


def _best(scores: Tensor, count: int) -> Tensor:
    """(B, L) -> (B, count) columns of the largest scores; of equal ones, the last.

    Which of equal ones `torch.topk` takes is not defined, and an item that comes twice in a history has equal scores.
    """
    width = scores.shape[1]
    if torch.compiler.is_exporting():  # ONNX's TopK takes the first of equal ones
        return width - 1 - scores.flip(1).topk(count, dim=1).indices
    if count == width:
        return torch.arange(width, device=scores.device).expand(len(scores), -1)
    bits = (scores.float() + 0.0).contiguous().view(torch.int32).long()
    order = torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits)  # as floats are ordered
    return (order * width + torch.arange(width, device=scores.device)).topk(count, dim=1).indices
