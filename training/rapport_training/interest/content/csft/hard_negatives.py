"""Hard negatives: for each item another one of its category (Section 3.3, extension 1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rapport_edge.errors import SettingsError

Rows = NDArray[np.int64]


class SameCategory:
    """Draws items of the same category, uniformly, never the item itself.

    An item without a category, or alone in its own, gets any other item.

    Attributes:
        alone: how many items have no other of their category.
    """

    def __init__(self, categories: Sequence[str], usable: NDArray[np.bool_]) -> None:
        """Groups a catalogue.

        Args:
            categories: (n,) of all items.
            usable: (n,) bool, which may be drawn.

        Raises:
            SettingsError: if fewer than two items can be used.
        """
        rows = np.flatnonzero(usable)
        if len(rows) < 2:
            raise SettingsError(f"{len(rows)} items with picture and title are too few for negatives")
        names, codes = np.unique(np.array(categories, dtype=object)[rows].astype(str), return_inverse=True)
        sizes = np.bincount(codes, minlength=len(names))
        lonely = (sizes[codes] < 2) | (names[codes] == "")
        self.alone = int(lonely.sum())
        self._members = rows[np.argsort(codes, kind="stable")]
        self._start = np.zeros(len(categories), np.int64)
        self._size = np.full(len(categories), len(rows))
        self._place = np.zeros(len(categories), np.int64)
        starts = np.cumsum(sizes) - sizes
        place_in_all = np.empty(len(rows), np.int64)
        place_in_all[np.argsort(codes, kind="stable")] = np.arange(len(rows))
        self._start[rows] = np.where(lonely, 0, starts[codes])
        self._size[rows] = np.where(lonely, len(rows), sizes[codes])
        self._place[rows] = place_in_all - self._start[rows]

    def draw(self, items: Rows, uniform: NDArray[np.float64]) -> Rows:
        """(m,) rows of other items.

        Args:
            items: (m,) rows of usable items.
            uniform: (m,) in [0, 1), what decides.
        """
        others = self._size[items] - 1
        step = 1 + np.minimum((uniform * others).astype(np.int64), others - 1)
        return self._members[self._start[items] + (self._place[items] + step) % self._size[items]]
