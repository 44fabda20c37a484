"""When a behaviour was, as an index into an embedding."""

from __future__ import annotations

import torch
from torch import Tensor

from rapport_edge.errors import SettingsError
from rapport_training.interest.ctr.models.interest import Behaviours

#: Indexes are below this.
BUCKETS = 64
_EXACT = 32


def time_buckets(behaviours: Behaviours, position: str) -> Tensor:
    """P int64 in [1, BUCKETS): 0 is left for the target itself.

    Args:
        behaviours: of a batch.
        position: "order": the newest behaviour is 1, the one before it 2, from 32 on in logarithmic steps; the number
            of behaviours that came later does not change with padding or with what was cut off. "age": logarithmic
            steps of the age, as SIM's time intervals.

    Raises:
        SettingsError: for "age" where the log has no times.
    """
    if position == "order":
        return 1 + _logarithmic(behaviours.at.recency.float())
    if behaviours.age is None:
        raise SettingsError("the recipe says position: age, but the log has no times; say position: order")
    hours = behaviours.age.clamp(min=0) * 24
    return (1 + (3 * torch.log2(1 + hours)).long()).clamp(max=BUCKETS - 1)


def _logarithmic(number: Tensor) -> Tensor:
    """Exact below 32, then 4 steps for each doubling, up to BUCKETS - 2."""
    steps = _EXACT + 4 * torch.log2(number.clamp(min=_EXACT) / _EXACT)
    return torch.where(number < _EXACT, number, steps).long().clamp(max=BUCKETS - 2)
