"""A connection to an authority: what SQLite needs where a process forks, and in a folder that only reads."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Final

from sqlite_utils import Database

from rapport_edge.representation.errors import CentreError

_BUSY_S: Final = 10.0

#: Of parents: SQLite's connections must be neither used nor closed by a child.
_inherited: Final[list[Database]] = []


class AuthorityConnection:
    """Opens a database, and again where that is needed.

    Raises:
        sqlite3.Error: the file cannot be opened.
    """

    def __init__(self, path: Path, *, write: bool) -> None:
        self._path, self._write = path, write
        self._open()

    @property
    def database(self) -> Database:
        """Open, and of this process.

        Raises:
            CentreError: the parent process opened it for writing.
        """
        if self._process != os.getpid():
            if self._write:
                raise CentreError(f"{self._path} was opened for writing before this process was forked; open it here")
            _inherited.append(self._database)
            self._open()
        elif self._frozen is not None and self._frozen != self._state():
            self._database.close()
            self._open()
        return self._database

    def close(self) -> None:
        """Closes it, unless the parent still uses it."""
        if self._process == os.getpid():
            self._database.close()

    def _open(self) -> None:
        self._process, self._frozen = os.getpid(), None
        state = self._state()
        try:
            self._database = self._connect("rwc" if self._write else "ro")
        except sqlite3.OperationalError as error:
            without_place = "readonly" in str(error) or "unable to open" in str(error)
            if self._write or state[0] or not without_place:
                raise
            # Nobody writes, and this user cannot make the files that SQLite wants beside it: it is read as it lies,
            # until that changes.
            self._database, self._frozen = self._connect("ro&immutable=1"), state

    def _connect(self, mode: str) -> Database:
        connection = sqlite3.connect(
            f"{self._path.resolve().as_uri()}?mode={mode}", uri=True, timeout=_BUSY_S, check_same_thread=False
        )
        try:
            # Files are opened by the first question.
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except BaseException:
            connection.close()
            raise
        return Database(connection, execute_plugins=False)

    def _state(self) -> tuple[bool, int, int]:
        """Whether there is a write-ahead log, as there is beside a writer; the file's time and size."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return False, 0, 0
        return self._path.with_name(self._path.name + "-wal").exists(), status.st_mtime_ns, status.st_size
