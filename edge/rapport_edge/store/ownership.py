"""One owner per database: an advisory lock file that names the owning process.

SQLite itself would let two nodes write one file. But the owner holds state beside the file, anonymous persons and the
search index, and a second writer would bring forgotten persons back from there. Readers need no lock.
"""

from __future__ import annotations

import fcntl
import os
import weakref
from pathlib import Path

from rapport_edge.store.errors import StoreBusyError, StoreReadOnlyError

_held: weakref.WeakSet[OwnershipLock] = weakref.WeakSet()


class OwnershipLock:
    """Holds `<database>.lock` (flock) while open; the kernel frees it when the process dies, however it dies.

    Raises:
        StoreBusyError: another process, or another store in this one, owns the database; names its pid.
        StoreReadOnlyError: the lock file cannot be created.
    """

    def __init__(self, database: Path) -> None:
        self.path = database.with_name(database.name + ".lock")
        try:
            database.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreReadOnlyError(
                f"cannot create {self.path}: {error.strerror}; the store needs a folder that this user may write"
            ) from error
        except ValueError as error:
            raise StoreReadOnlyError(f"{str(self.path)!r} cannot be created: {error}") from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.pread(self._fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._fd)
            raise StoreBusyError(
                f"{database} is owned by process {owner}; stop that process, use its services, or give this one "
                "a database of its own"
            ) from error
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)
        _held.add(self)

    def release(self) -> None:
        """Let others own the database; the file stays, because removing it would race with the next owner."""
        if self._fd >= 0:
            os.ftruncate(self._fd, 0)
            self._let_go()

    def _let_go(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _leave_to_parent() -> None:
    """A forked child shares its parent's lock, and would hold it after the parent's death."""
    for lock in _held:
        lock._let_go()


os.register_at_fork(after_in_child=_leave_to_parent)
