"""Exact search: multi-head attention of the target over the behaviours that a general search has chosen."""

from __future__ import annotations

from torch import Tensor, nn

from rapport_training.interest.ctr.positions import Positions


class TargetAttention(nn.Module):
    """softmax(q k / sqrt(d)) v per head, over each row's behaviours.

    Attributes:
        dimension: of what comes out.
    """

    def __init__(self, target: int, behaviour: int, heads: int, size: int) -> None:
        """Dimensions of the target, of a behaviour, and of all heads together."""
        super().__init__()
        self.dimension, self._heads = size, heads
        self.query = nn.Linear(target, size, bias=False)
        self.key = nn.Linear(behaviour, size, bias=False)
        self.value = nn.Linear(behaviour, size, bias=False)

    def forward(self, target: Tensor, keys: Tensor, values: Tensor, at: Positions) -> Tensor:
        """(B, target), and keys and values of behaviours P (dimension) -> (B, dimension); 0 without behaviours."""
        query = self.query(target) * (self.dimension // self._heads) ** -0.5
        return at.weighted(at.softmax(at.products(query, keys, self._heads)), values)
