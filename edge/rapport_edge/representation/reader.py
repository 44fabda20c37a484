"""Reads the centre of one machine beside its writer: no server; all share the table through the page cache."""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from rapport_edge.representation import publication
from rapport_edge.representation.authority import Authority
from rapport_edge.representation.contract import CentreFormat, CentreReader, Counts, Rows, check_same
from rapport_edge.representation.errors import CentreDamagedError, CentreError
from rapport_edge.representation.keys import Ids, Keys, keys_of, text_of
from rapport_edge.representation.table import FrozenTable

_log = logging.getLogger(__name__)

AUTHORITY: Final = "authority.db"

#: Asking the system for a new version takes as long as looking up a hundred items.
_LOOK_EVERY_S: Final = 0.01


_opened: weakref.WeakSet[EmbeddedReader] = weakref.WeakSet()


class EmbeddedReader(CentreReader):
    """Reads a centre beside its writer; threads may share it.

    A lookup takes an item from the newest table, which it looks for every 10 ms, and what is not there from the
    authority, where it lies from the moment on at which `put` returned. A replaced vector is seen with the next
    version, so that one version never changes.
    """

    def __init__(self, folder: Path, encoder: str | None = None, *, verify: bool = True) -> None:
        """Opens an existing centre.

        Args:
            folder: the centre's.
            encoder: digest that it must be of; None takes any.
            verify: compare the checksums of every version when it is mapped, which reads it once.

        Raises:
            CentreError: there is none, it is another encoder's, or damaged.
        """
        try:
            there = (folder / AUTHORITY).is_file()
        except OSError as error:
            raise publication.unreadable(folder, error) from error
        if not there:
            raise CentreError(f"there is no representation centre in {folder}: it has no {AUTHORITY}")
        self._open(folder, Authority(folder / AUTHORITY, write=False), encoder, verify)

    def _open(self, folder: Path, authority: Authority, encoder: str | None, verify: bool) -> None:
        self.folder, self._authority, self._verify = folder, authority, verify
        self._lock = threading.RLock()
        _opened.add(self)
        try:
            layout = authority.format()
            if layout is None:
                raise CentreError(f"{folder / AUTHORITY} is empty; its writer was stopped before it was created")
            check_same(folder, layout, encoder)
            self._format = layout
            self._table: FrozenTable | None = None
            self._looked, self._seen = time.monotonic(), publication.stamp(folder)
            self._map_newest()
        except BaseException:
            authority.close()
            raise

    @property
    def format(self) -> CentreFormat:
        """Encoder, dimension and storage."""
        return self._format

    @property
    def table(self) -> FrozenTable | None:
        """The newest version, frozen: for reading in bulk. None before the first."""
        self._looked = time.monotonic()
        if publication.stamp(self.folder) != self._seen:
            self._follow()
        return self._table

    def lookup(self, ids: Ids) -> Rows:
        """The vectors of n items; see `CentreReader`."""
        return self._complete(ids, keys_of(ids))

    def lookup_keys(self, keys: Keys, ids: Ids) -> Rows:
        """The same for ids that were turned into keys before (`keys_of`)."""
        return self._complete(ids, keys)

    def sources(self, ids: Sequence[str]) -> list[str | None]:
        """What each item was embedded from; see `CentreReader`."""
        with self._lock:
            return self._authority.sources(ids)

    def counts(self) -> Counts:
        """How full it is."""
        table = self.table
        with self._lock:
            pending = self._authority.count(table.header.window if table else 0)
            return Counts(self._authority.count(), pending, table.header.version if table else 0)

    def windows(self) -> dict[int, str]:
        """State of each window: open, closed or published."""
        with self._lock:
            return self._authority.states()

    def close(self) -> None:
        """Closes the authority; tables that were handed out stay usable."""
        with self._lock:
            self._authority.close()

    def _complete(self, ids: Ids, keys: Keys) -> Rows:
        table = self._table if time.monotonic() - self._looked < _LOOK_EVERY_S else self.table
        if table is None:
            rows = Rows(np.zeros((len(keys), self.dimension), np.float32), np.zeros(len(keys), np.bool_))
        else:
            rows = table.lookup_keys(keys)
        if np.count_nonzero(rows.found) < len(keys):
            self._add_pending(ids, rows, table.header.window if table else 0)
        return rows

    def _add_pending(self, ids: Ids, rows: Rows, window: int) -> None:
        """Fills in what came after the table."""
        missing = np.flatnonzero(~rows.found).tolist()
        wanted = [text_of(ids[position]) for position in missing]
        with self._lock:
            found = self._authority.vectors(sorted(set(wanted)), window, self._format)
        for position, item in zip(missing, wanted, strict=True):
            if item in found:
                rows.vectors[position], rows.found[position] = found[item], True

    def _follow(self) -> None:
        """Maps a new version; where that fails, the one before is right, too, and stays."""
        with self._lock:
            self._seen = publication.stamp(self.folder)
            try:
                self._map_newest()
            except CentreError as error:
                _log.error("keeping version %s: %s", self._table and self._table.header.version, error)

    def _map_newest(self) -> None:
        table = publication.open_current(self.folder, verify=self._verify)
        if table is not None and table.format != self._format:
            raise CentreDamagedError(f"{self.folder} holds a table of {table.format}, its authority of {self._format}")
        self._table = table


def _unlock_in_child() -> None:
    """A thread of the parent may have held a lock, and does not exist in the child."""
    for reader in _opened:
        reader._lock = threading.RLock()


os.register_at_fork(after_in_child=_unlock_in_child)
