"""Evidence in two parts, so that nothing is counted twice.

While a person is in view, each new estimate replaces the one before, because it already contains it. That running part
is kept under the encounter's name. When another encounter begins, it is folded into the settled part, whose weight is
limited: people change, children quickly.
"""

from __future__ import annotations

#: The encounter name of the settled part.
SETTLED = ""
#: Observations that the settled part counts for at most.
MAX_SETTLED_WEIGHT = 200.0


def shares(first: float, second: float) -> tuple[float, float]:
    """Two positive weights as shares of their sum."""
    total = first + second
    return first / total, second / total
