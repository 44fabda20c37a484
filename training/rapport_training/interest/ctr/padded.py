"""Behaviours of a batch in rows of equal length, as an exported graph has them; see `positions`."""

from __future__ import annotations

import torch
from torch import Tensor

from rapport_training.interest.ctr.best_columns import best_columns


class Padded:
    """Behaviours in rows of equal length; for export, whose graphs need fixed shapes. Not for training.

    Attributes:
        mask: (B or 1, L) bool, True for behaviours, oldest first; before `top` chooses, a row's come first.
        real: (B or 1, L) bool, True where values are more than padding: the mask before `top` chose.
    """

    def __init__(self, mask: Tensor, real: Tensor | None = None) -> None:
        self.mask = mask
        self.real = mask if real is None else real

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

    def products(self, rows: Tensor, values: Tensor, heads: int | None = None) -> Tensor:
        """(B, F) and P (F) -> P: each behaviour's product with its row's vector; S with heads, by parts of F."""
        rows, values = _heads_first(rows, heads or 1), _heads_first(values, heads or 1)
        shared = values.shape[1] == 1
        found = rows @ values[:, 0].transpose(-1, -2) if shared else (values @ rows[..., None]).squeeze(-1)
        return found.squeeze(0) if heads is None else found

    def weighted(self, weights: Tensor, values: Tensor) -> Tensor:
        """Weights P or S, and values P (F) -> (B, F): the weighted sums, by parts of F."""
        weights = torch.where(self.mask, weights, 0.0)
        weights = weights[None] if weights.ndim == 2 else weights
        # Padded values may be anything, so that zero weights alone would not hide a NaN.
        values = _heads_first(torch.where(self.real[..., None], values, 0.0), len(weights))
        shared = values.shape[1] == 1
        found = weights @ values[:, 0] if shared else (weights[..., None, :] @ values).squeeze(-2)
        return found.transpose(0, 1).flatten(1)

    def softmax(self, scores: Tensor) -> Tensor:
        """P or S -> the same, over each row's behaviours."""
        scores = torch.where(self.mask, scores, torch.finfo(scores.dtype).min)
        return torch.where(self.mask, scores.softmax(dim=-1), 0.0)

    def softmax_with(self, scores: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
        """S and (B, H) -> the same, over each row's behaviours and one more, such as the target itself."""
        scores = torch.where(self.mask, scores, -torch.inf)
        together = torch.cat([scores, own.t()[..., None]], dim=-1).softmax(dim=-1)
        return together[..., :-1], together[..., -1].t()

    def mean(self, values: Tensor) -> Tensor:
        """P (F) -> (B, F); 0 for rows without behaviours."""
        return self.total(values) / self.lengths.clamp(min=1)[:, None]

    def top(self, scores: Tensor, count: int) -> tuple[Padded, None]:
        """The positions of each row's `count` largest scores, in their order; see `Packed.top`.

        All stay where they are, and the others become padding: a product with a history that all rows share takes less
        than copying a part of it for each.
        """
        padded = self.pad(scores, -torch.inf)
        best = best_columns(padded, min(count, self.mask.shape[1]))
        chosen = torch.zeros_like(padded, dtype=torch.bool).scatter(1, best, torch.ones_like(best, dtype=torch.bool))
        return Padded(chosen & (padded > -torch.inf), self.real), None

    def take(self, values: Tensor, chosen: Tensor | None) -> Tensor:
        """P (F) -> the chosen positions' values; None for all."""
        if chosen is None:
            return values
        index = chosen.reshape(*chosen.shape, *([1] * (values.ndim - 2)))
        return values.gather(1, index.expand(*chosen.shape, *values.shape[2:]))

    def newest(self, count: int) -> tuple[Padded, Tensor]:
        """Each row's newest `count`, and what to give to `take`."""
        place = torch.arange(min(count, self.mask.shape[1]), device=self.mask.device)
        chosen = (self.lengths[:, None] - count).clamp(min=0) + place
        return Padded(chosen < self.lengths[:, None]), chosen.clamp(max=self.mask.shape[1] - 1)


def _heads_first(values: Tensor, heads: int) -> Tensor:
    """(..., F) -> (heads, ..., F / heads)."""
    return values.unflatten(-1, (heads, -1)).movedim(-2, 0)
