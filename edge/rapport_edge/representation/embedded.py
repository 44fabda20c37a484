"""Writes the centre of one machine: an SQLite authority beside a published, memory-mapped table.

One process writes, others read (`reader`). A folder holds:

authority.db    every item: id, source, vector, time, window; the format
current.json    the version that readers take
table-*.rows    that version, and the one before
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from numpy.typing import ArrayLike

from rapport_edge.atomic import sync_folder
from rapport_edge.representation import publication
from rapport_edge.representation.authority import Authority, Delivery, Place
from rapport_edge.representation.contract import (
    CentreFormat,
    RepresentationCentre,
    check_format,
    check_same,
    checked_items,
)
from rapport_edge.representation.errors import CentreDamagedError, CentreError
from rapport_edge.representation.reader import AUTHORITY, EmbeddedReader
from rapport_edge.representation.table_file import write_table
from rapport_edge.store.ownership import OwnershipLock

_log = logging.getLogger(__name__)


class EmbeddedCentre(EmbeddedReader, RepresentationCentre):
    """The one writer of a centre."""

    def __init__(
        self, folder: Path, layout: CentreFormat, *, clock: Callable[[], float] = time.time, verify: bool = True
    ) -> None:
        """Opens a centre, or creates it, and finishes what a killed writer began.

        Args:
            folder: the centre's; made where there is none.
            layout: encoder, dimension and storage; an existing centre must have the same.
            clock: Unix seconds.
            verify: as for readers.

        Raises:
            CentreError: it is another encoder's, or of another dimension or storage.
            StoreError: another process writes to it, or the authority is damaged or cannot be written.
        """
        check_format(layout)
        try:
            if not folder.exists():
                folder.mkdir(parents=True, exist_ok=True)
                sync_folder(folder.parent)
        except OSError as error:
            raise CentreError(f"cannot make the folder {folder}: {error.strerror}") from error
        self._clock = clock
        self._ownership = OwnershipLock(folder / AUTHORITY)
        try:
            self._open_repaired(folder, self._authority_of(folder, layout), verify)
        except BaseException:
            self._ownership.release()
            raise

    def put(self, ids: Sequence[str], vectors: ArrayLike, sources: Sequence[str]) -> None:
        """Adds or replaces items; see `RepresentationCentre`."""
        stored = checked_items(ids, vectors, sources, self._format)
        with self._lock:
            self._authority.put(ids, stored, sources, self._clock())

    def publish(self) -> int:
        """Closes the window and publishes a version with everything up to it; without news the version stays.

        Raises:
            CentreFullError: there is no space; the version before stays, and nothing is lost.
        """
        with self._lock:
            window = self._authority.close_window(self._clock())
            table = self.table
            if table is None or table.header.window < window:
                self._write(window)
            self._authority.mark_published(window)
            self._table = publication.open_current(self.folder, verify=False)
            self._seen = publication.stamp(self.folder)
            assert self._table is not None
            return self._table.header.version

    def delivered(self, consumer: str) -> int:
        """The newest window that a consumer has taken in (`realtime.forward`); 0 for none."""
        with self._lock:
            return self._authority.delivered(consumer)

    def mark_delivered(self, consumer: str, window: int) -> None:
        """A consumer has taken in every window up to this one."""
        with self._lock:
            self._authority.mark_delivered(consumer, window)

    def newest_closed(self) -> int:
        """The newest window that takes no more items; 0 for none. Windows are numbered without gaps."""
        with self._lock:
            return self._authority.newest_closed()

    def deliveries(self, after: int, until: int) -> Iterator[Delivery]:
        """Items of the windows after one and up to another, oldest window first, some thousand at a time."""
        place = Place(after + 1, 0)
        while place.window <= until:
            # Whoever takes the items may be slow; lookups must not wait for him.
            with self._lock:
                delivery = self._authority.next_items(place, until, self._format)
            if not delivery.ids:
                return
            yield delivery
            place = delivery.place

    def close(self) -> None:
        """Closes the authority and lets others write."""
        with self._lock:
            super().close()
            self._ownership.release()

    def _authority_of(self, folder: Path, layout: CentreFormat) -> Authority:
        """The authority, new or of the same format."""
        authority = Authority(folder / AUTHORITY, write=True)
        try:
            found = authority.format()
            if found is None:
                authority.create(layout, self._clock())
            else:
                check_same(folder, found, layout.encoder, layout)
        except BaseException:
            authority.close()
            raise
        return authority

    def _write(self, window: int) -> None:
        version = publication.highest_version(self.folder) + 1
        scratch = publication.scratch_path(self.folder)
        try:
            words = self._authority.keys_up_to(window)
            parts = self._authority.vectors_up_to(window, self._format)
            write_table(scratch, self._format, (version, window), words, parts)
            publication.make_current(self.folder, version)
        finally:
            scratch.unlink(missing_ok=True)
        publication.remove_old(self.folder, version)

    def _check_order(self) -> None:
        """A table of windows that are still to come would hide what is put in them."""
        if self._table is not None and self._table.header.window > self._authority.newest_closed():
            raise CentreDamagedError(
                f"the table in {self.folder} is newer than {AUTHORITY}, which was restored or lost"
            )

    def _open_repaired(self, folder: Path, authority: Authority, verify: bool) -> None:
        """Opens; a damaged table is published anew, because the authority has everything that was in it."""
        try:
            self._open(folder, authority, None, verify)
            self._check_order()
        except CentreDamagedError as error:
            _log.warning("publishing anew: %s", error)
            authority.close()
            (folder / publication.CURRENT).unlink(missing_ok=True)
            self._open(folder, Authority(folder / AUTHORITY, write=True), None, verify)
            self.publish()
        if self._table is not None:
            publication.remove_old(folder, self._table.header.version)
            self._authority.mark_published(self._table.header.window)
