"""What can be asked of a profile store: by its owner, or beside the owner from another process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, TypeVar

from sqlite_utils import Database

from rapport_edge.errors import StoreError
from rapport_edge.store.audit import read_audit
from rapport_edge.store.behaviour import BehaviourVersion, behaviour_version, interactions_of
from rapport_edge.store.connection import integrity_findings, open_for_reading, translated
from rapport_edge.store.errors import UnknownUserError
from rapport_edge.store.export import ProfileExport, export_user
from rapport_edge.store.records import AuditRecord, ConsentRecord, InteractionRecord, ProfilePage, ProfileRecord
from rapport_edge.store.users import consent_history, count_users, read_profile, recent_users, resolve

_Reader = TypeVar("_Reader", bound="ProfileReader")


class Located(NamedTuple):
    """Where a person is: the database, the id they have there, and whether that is the one in memory."""

    db: Database
    user_id: str
    anonymous: bool


class ProfileReader:
    """Reads one database and, in the owner's process, the anonymous persons in memory. Thread-safe.

    All threads share one connection behind a lock: SQLite writes one at a time anyway, queries take microseconds, and
    what one thread has changed in file, memory and index is seen by the next as a whole.
    """

    def __init__(self, path: Path, disk: Database, memory: Database | None) -> None:
        self.path = path
        self._disk = disk
        self._memory = memory
        self._lock = threading.RLock()
        self._open = True

    @classmethod
    def beside_owner(cls, path: Path, busy_timeout_s: float = 3.0) -> ProfileReader:
        """Look into a database that another process may own at this moment.

        Raises:
            StoreError: no such file, or one that is refused.
        """
        return ProfileReader(path, open_for_reading(path, busy_timeout_s), None)

    def close(self) -> None:
        """Close the connection; what is in memory is gone."""
        with self._lock:
            self._open = False
            self._disk.close()
            if self._memory is not None:
                self._memory.close()

    def __enter__(self: _Reader) -> _Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def find(self, user_id: str) -> ProfileRecord | None:
        """The person with this id, or into whom this id was merged; None when nobody is known by it."""
        with self._reading():
            located = self._locate(user_id)
            return None if located is None else read_profile(*located)

    def get(self, user_id: str) -> ProfileRecord:
        """As `find`.

        Raises:
            UnknownUserError: nobody is known by this id.
        """
        with self._reading():
            return read_profile(*self._require(user_id))

    def profiles(self, limit: int = 100, offset: int = 0, include_anonymous: bool = True) -> ProfilePage:
        """Some profiles, the most recently seen first."""
        with self._reading():
            shelves = [(self._disk, False)]
            if include_anonymous and self._memory is not None:
                shelves.append((self._memory, True))
            recent = [
                (seen, Located(db, user_id, anonymous))
                for db, anonymous in shelves
                for seen, user_id in recent_users(db, offset + limit)
            ]
            recent.sort(key=lambda item: (-item[0], item[1].user_id))
            page = tuple(read_profile(*located) for _, located in recent[offset : offset + limit])
            return ProfilePage(profiles=page, total=sum(count_users(db) for db, _ in shelves))

    def consent_history(self, user_id: str) -> tuple[ConsentRecord, ...]:
        """A person's decisions, oldest first. Raises UnknownUserError."""
        with self._reading():
            located = self._require(user_id)
            return consent_history(located.db, located.user_id)

    def interactions(self, user_id: str, limit: int = -1) -> tuple[InteractionRecord, ...]:
        """A person's behaviour, newest first; `limit` -1 stands for all. Raises UnknownUserError."""
        with self._reading():
            located = self._require(user_id)
            return interactions_of(located.db, located.user_id, limit)

    def behaviour_version(self, user_id: str) -> BehaviourVersion:
        """Equal to an earlier one while a person's behaviour is the same. Raises UnknownUserError."""
        with self._reading():
            located = self._require(user_id)
            return behaviour_version(located.db, located.user_id)

    def audit_log(self, user_id: str | None = None, limit: int = 100, offset: int = 0) -> tuple[AuditRecord, ...]:
        """Who asked for what, newest first; about one person where `user_id` is given."""
        with self._reading():
            return read_audit(self._disk, user_id, limit, offset)

    def collect(self, user_id: str, at: float) -> ProfileExport:
        """Everything about a person; who hands it out logs that. Raises UnknownUserError."""
        with self._reading():
            located = self._require(user_id)
            return export_user(located.db, self._disk, located.user_id, located.anonymous, at)

    def check(self) -> list[str]:
        """What SQLite finds wrong with the file, thoroughly (integrity_check, foreign_key_check); empty when sound."""
        with self._reading():
            return integrity_findings(self._disk)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._lock, translated(self.path):
            if not self._open:
                raise StoreError(f"the profile store {self.path} is closed")
            yield

    def _locate(self, user_id: str) -> Located | None:
        if self._memory is not None and (found := resolve(self._memory, user_id)) is not None:
            return Located(self._memory, found, True)
        found = resolve(self._disk, user_id)
        return None if found is None else Located(self._disk, found, False)

    def _require(self, user_id: str) -> Located:
        located = self._locate(user_id)
        if located is None:
            raise UnknownUserError(f"nobody is known by the id {user_id!r}; ids come from the list of profiles")
        return located
