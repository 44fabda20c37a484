"""Items that a user never met, in place of those that he liked."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

#: Rounds after which a user counts as having met everything.
_ROUNDS: Final = 50
#: Stands for "no item found".
NONE: Final = 0


class NegativeSampler:
    """Draws from the items that existed at the time of the event.

    Args:
        available: (items,) int64: when each item first existed; the greatest int64 for never.
        weight: (items,) how often an item is drawn in proportion to others; 0: never.
        seed: what the draws depend on, besides their order.
    """

    def __init__(self, available: NDArray[np.int64], weight: NDArray[np.float64], seed: int) -> None:
        usable = np.flatnonzero((available < np.iinfo(np.int64).max) & (weight > 0))
        order = usable[np.argsort(available[usable], kind="stable")]
        self._items = order.astype(np.int32)
        self._since = available[order]
        # The weight of all items that came no later: a draw below it is one of them.
        self._total = np.concatenate([[0.0], np.cumsum(weight[order])])
        self._catalogue = len(available)
        self._random = np.random.default_rng(seed)

    def draw(
        self, users: NDArray[np.int32], times: NDArray[np.int64], met_users: NDArray[np.int32], met: NDArray[np.int32]
    ) -> NDArray[np.int32]:
        """One item for each row.

        Args:
            users, times: (n,) whose negatives, and when they must have existed.
            met_users, met: (m,) pairs of user and item, of all times: none of them is drawn.

        Returns:
            (n,) int32 items; `NONE` where the user has met everything that there was.
        """
        pairs = np.unique(met_users.astype(np.int64) * self._catalogue + met)
        limit = self._total[np.searchsorted(self._since, times, side="right")]
        drawn = np.full(len(users), NONE, np.int32)
        open_rows = np.flatnonzero(limit > 0)
        for _ in range(_ROUNDS):
            if not len(open_rows):
                break
            place = np.searchsorted(self._total, self._random.random(len(open_rows)) * limit[open_rows], side="right")
            items = self._items[place - 1]
            fresh = ~_contains(pairs, users[open_rows].astype(np.int64) * self._catalogue + items)
            drawn[open_rows[fresh]] = items[fresh]
            open_rows = open_rows[~fresh]
        return drawn


def _contains(pairs: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.bool_]:
    if not len(pairs):
        return np.zeros(len(wanted), np.bool_)
    place = np.minimum(np.searchsorted(pairs, wanted), len(pairs) - 1)
    return np.asarray(pairs[place] == wanted)
