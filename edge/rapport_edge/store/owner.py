"""Owning a profile database: the lock, the clock, and changes that others are told of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlite_utils import Database

from rapport_edge.errors import StoreError
from rapport_edge.store.audit import append_audit
from rapport_edge.store.connection import check_ours, open_database, open_in_memory, transaction, translated
from rapport_edge.store.consent import Consent
from rapport_edge.store.erasure import erase_traces
from rapport_edge.store.gallery import Gallery
from rapport_edge.store.ownership import OwnershipLock
from rapport_edge.store.reader import ProfileReader
from rapport_edge.store.records import AuditRecord, EventKind, ProfileEvent, checked
from rapport_edge.store.settings import StoreSettings

_CLOCK_TOLERANCE_S = 1.0


class DatabaseOwner(ProfileReader):
    """The one process that may change a database; see `ProfileStore` for what it can do with it.

    Raises:
        StoreError: the database is owned by another process, damaged, of a newer version or cannot be written.
    """

    def __init__(
        self, path: Path, settings: StoreSettings, clock: Callable[[], float], on_event: Callable[[ProfileEvent], None]
    ) -> None:
        self.settings = checked(settings)
        self._clock = clock
        self._on_event = on_event
        self._last_clock = float("-inf")
        check_ours(path)
        self._ownership = OwnershipLock(path)
        try:
            self._memory: Database = open_in_memory()
            super().__init__(path, open_database(path, self.settings.busy_timeout_s), self._memory)
            self._gallery = Gallery(self._disk)
            with translated(path):
                erase_traces(self._disk)
        except BaseException:
            self._ownership.release()
            raise

    def close(self) -> None:
        """Close the database and let others own it. Anonymous persons are gone."""
        with self._lock:
            if self._open:
                super().close()
                self._ownership.release()

    @contextmanager
    def _changing(self) -> Iterator[list[ProfileEvent]]:
        """Hold the store for one change; events put into the list go out after it, if it succeeded."""
        events: list[ProfileEvent] = []
        with self._reading():
            yield events
        for event in events:
            self._on_event(event)

    def _now(self) -> float:
        """The clock's time; that it was set back is noted in the audit log, and otherwise taken as it is."""
        now = float(self._clock())
        if not abs(now) < float("inf"):
            raise StoreError(f"the clock says {now}, which is no time")
        if now < self._last_clock - _CLOCK_TOLERANCE_S:
            self._append(self._entry("system", "clock", "", f"set back by {self._last_clock - now:.0f} s", now))
        self._last_clock = now
        return now

    def _append(self, entry: AuditRecord) -> None:
        with transaction(self._disk):
            append_audit(self._disk, entry)

    @staticmethod
    def _entry(actor: str, action: str, user_id: str, outcome: str, at: float) -> AuditRecord:
        return AuditRecord(at=at, actor=actor, action=action, user_id=user_id, outcome=outcome)

    @staticmethod
    def _event(
        kind: EventKind, user_id: str, at: float, consent: Consent = Consent.UNKNOWN, detail: str = ""
    ) -> ProfileEvent:
        return ProfileEvent(kind=kind, user_id=user_id, at=at, consent=consent, detail=detail)
