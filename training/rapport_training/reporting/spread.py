"""A figure over several seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """Mean and spread of a figure.

    Attributes:
        mean: over the runs.
        std: sample standard deviation; None for fewer than two runs.
        runs: how many.
    """

    mean: float
    std: float | None
    runs: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread | None:
        """None for no values."""
        if not values:
            return None
        mean = math.fsum(values) / len(values)
        if len(values) == 1:
            return cls(mean=mean, std=None, runs=1)
        variance = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
        return cls(mean=mean, std=math.sqrt(variance), runs=len(values))

    def text(self, digits: int = 3, *, signed: bool = False) -> str:
        """For a table: "0.7030 ±0.0012", or "+0.0060 ±0.0012" for a difference."""
        mean = f"{self.mean:{'+' if signed else ''}.{digits}f}"
        return mean if self.std is None else f"{mean} ±{self.std:.{digits}f}"

    def __str__(self) -> str:
        return self.text()
