"""A published table: vectors of many items at a time, as fast as memory hands them out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rapport_edge.faces import FloatArray
from rapport_edge.representation.contract import CentreFormat, Rows
from rapport_edge.representation.keys import Ids, Keys, hash_words, keys_of
from rapport_edge.representation.perfect_hash import PerfectHash, Slots
from rapport_edge.representation.table_file import open_table


class FrozenTable:
    """One version, which never changes; its map lives as long as this object, whatever happens to the file.

    Threads may share it. A row is a number from 0 to `rows` - 1; about a tenth of the rows hold no item.

    Attributes:
        header: what the file says about itself.
        vectors: (rows, D) float16 or float32, read-only.
    """

    def __init__(self, path: Path, *, verify: bool = True) -> None:
        """Opens a file; see `table_file.open_table` for `verify` and errors."""
        self.header, sections = open_table(path, verify=verify)
        self.vectors: NDArray[Any] = sections.vectors
        self._keys = sections.keys
        self._function = PerfectHash(sections.pilots, self.header.slots)

    def __len__(self) -> int:
        """Items."""
        return self.header.items

    @property
    def rows(self) -> int:
        """Rows, with those that hold no item."""
        return self.header.slots

    @property
    def format(self) -> CentreFormat:
        """Encoder, dimension and storage."""
        return self.header.format

    def lookup(self, ids: Ids) -> Rows:
        """The vectors of n ids."""
        return self.lookup_keys(keys_of(ids))

    def lookup_keys(self, keys: Keys) -> Rows:
        """The vectors of n ids that were turned into keys before (`keys_of`)."""
        rows, found = self._find(keys)
        vectors = self._take(rows)
        if found is None:
            return Rows(vectors, np.ones(len(rows), np.bool_))
        vectors[~found] = 0.0
        return Rows(vectors, found)

    def rows_of(self, ids: Ids | Keys) -> NDArray[np.int64]:
        """(n,) the row of each id, -1 where it has none. Rows are this version's only."""
        rows, found = self._find(ids if isinstance(ids, Keys) else keys_of(ids))
        if found is not None:
            rows[~found] = -1
        return rows

    def gather(self, rows: NDArray[np.int64]) -> FloatArray:
        """(n, D) float32: the vectors of rows that `rows_of` gave; zero for -1.

        Raises:
            IndexError: a row beyond the table's.
        """
        if len(rows) and (rows.min() < -1 or rows.max() >= self.rows):
            raise IndexError(f"rows go from -1 to {self.rows - 1}, not from {rows.min()} to {rows.max()}")
        vectors = self._take(rows)
        absent = rows < 0
        if absent.any():
            vectors[absent] = 0.0
        return vectors

    def _find(self, keys: Keys) -> tuple[Slots, NDArray[np.bool_] | None]:
        """The only row in which each key may lie, and whether it does; None where all do, which is the usual case."""
        seed = self.header.seed
        rows = self._function.slots_of(hash_words(keys.words, seed) if seed else keys.hashes)
        difference = self._keys.take(rows, axis=0, mode="clip")
        difference ^= keys.words
        # Counting is several times faster than `any` and `all` on few items.
        return rows, (difference[:, 0] | difference[:, 1]) == 0 if np.count_nonzero(difference) else None

    def _take(self, rows: NDArray[np.int64]) -> FloatArray:
        # `take` with clipping is faster than vectors[rows]: it checks no bounds and copies whole rows.
        taken = self.vectors.take(rows, axis=0, mode="clip")
        return taken.astype(np.float32, copy=False)
