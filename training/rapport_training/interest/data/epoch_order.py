"""An epoch's order of samples that may be larger than memory."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from rapport_training.interest.data.schema import GROUP_ROWS

#: Row groups that are shuffled together: 16.8 million samples, whose columns are 700 MB.
WINDOW_GROUPS: Final = 256


class EpochOrder:
    """A permutation of rows that reads few places of the disk at a time.

    Row groups are permuted; then the rows of each window of groups. Up to 16.8 million samples are one window, and the
    permutation is of all rows. It follows from the number of rows and the seed alone.

    Args:
        rows: how many.
        seed: of the permutation.
        group_rows: rows that lie together.
        window_groups: groups that are shuffled together.
    """

    def __init__(self, rows: int, seed: int, group_rows: int = GROUP_ROWS, window_groups: int = WINDOW_GROUPS) -> None:
        self._rows = rows
        self._seed = seed
        self._group_rows = group_rows
        groups = np.random.default_rng([seed, 0]).permutation(-(-rows // group_rows))
        self._windows = [groups[first : first + window_groups] for first in range(0, len(groups), window_groups)]
        sizes = [sum(min(group_rows, rows - group * group_rows) for group in window) for window in self._windows]
        self._begins = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self._at = -1
        self._order = np.zeros(0, np.int64)

    def take(self, first: int, last: int) -> NDArray[np.int64]:
        """The rows at places `first` up to `last` of the epoch; cheap where places ascend from call to call."""
        parts = []
        while first < last:
            window = int(np.searchsorted(self._begins, first, side="right")) - 1
            begin, end = int(self._begins[window]), min(last, int(self._begins[window + 1]))
            parts.append(self._window(window)[first - begin : end - begin])
            first = end
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)

    def _window(self, number: int) -> NDArray[np.int64]:
        if number != self._at:
            starts = self._windows[number] * self._group_rows
            rows = np.concatenate([np.arange(one, min(one + self._group_rows, self._rows)) for one in starts])
            self._order = np.random.default_rng([self._seed, 1 + number]).permutation(rows)
            self._at = number
        return self._order
