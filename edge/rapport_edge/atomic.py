"""Files that appear whole or not at all, also after a power cut."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

#: Ends the name of a scratch folder; nobody's own files are called so.
_SUFFIX: Final = ".unfinished"
#: In a scratch folder, what lay at the path before, until its successor has the name.
_REPLACED: Final = ".replaced"
#: The same from then on: nobody wants it back, least of all when half of it is removed.
_OUTDATED: Final = ".outdated"


def write_synced(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Writes a file and waits until it is on the disk.

    Args:
        path: where; a new file gets `mode`, less the process's umask.
        content: all of it.
        mode: permissions from the first byte on.

    Raises:
        OSError: if the folder cannot be written or is full.
    """
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def write_atomically(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Replaces a file: a reader sees the old one or the new one, never a part.

    Args:
        path: the file.
        content: all of it.
        mode: permissions of the new file, less the process's umask.

    Raises:
        OSError: if the folder cannot be written or is full; what was there before stays.
    """
    with scratch_beside(path) as scratch:
        written = scratch / path.name
        write_synced(written, content, mode)
        written.replace(path)
    sync_folder(path.parent)


@contextmanager
def scratch_beside(path: Path) -> Iterator[Path]:
    """A hidden folder beside a path, for what is to take its name; it is gone afterwards.

    What killed processes left of the same path is removed before. A process holds its scratch folder by a lock that
    ends with it, however it ends; where the file system knows no locks, nothing is removed.

    Raises:
        OSError: if the folder cannot be written.
    """
    _remove_leftovers(path)
    scratch, lock = _new_scratch(path)
    try:
        yield scratch
    finally:
        try:
            _clear(scratch, path)
        finally:
            if lock is not None:
                os.close(lock)


def replace_folder(built: Path, path: Path) -> None:
    """Gives a folder that was built in a scratch folder its name; what was there goes with the scratch folder.

    These are two renames. If the second does not happen, what was there comes back when `scratch_beside` ends, or where
    the process was killed, with the next `scratch_beside` of the path.

    Raises:
        FileExistsError: if another process gave a folder this name at the same time; that one stays.
        OSError: if the folder cannot be written.
    """
    replaced = built.parent / _REPLACED
    if path.exists():
        path.rename(replaced)
    try:
        built.rename(path)
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise
        raise FileExistsError(errno.EEXIST, "another process wrote it at the same time", str(path)) from error
    if os.path.lexists(replaced):
        replaced.rename(built.parent / _OUTDATED)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Makes new names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _new_scratch(path: Path) -> tuple[Path, int | None]:
    """A folder and the handle that holds it; None where the file system knows no locks."""
    while True:
        scratch = Path(tempfile.mkdtemp(_SUFFIX, f".{path.name}.", path.parent))
        try:
            return scratch, _held(scratch)
        except (BlockingIOError, FileNotFoundError):
            continue  # another process took it for a leftover before it was held
        except OSError:
            return scratch, None


def _held(scratch: Path) -> int:
    """A handle that holds a folder until it is closed or the process has ended.

    Raises:
        BlockingIOError: another process holds it.
        OSError: it is gone, or there are no locks.
    """
    handle = os.open(scratch, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        scratch.stat()  # it may have been removed before it was held
    except OSError:
        os.close(handle)
        raise
    return handle


def _remove_leftovers(path: Path) -> None:
    own = re.compile(re.escape(f".{path.name}.") + "[a-z0-9_]{8}" + re.escape(_SUFFIX))
    for scratch in [found for found in path.parent.iterdir() if own.fullmatch(found.name)]:
        try:
            handle = _held(scratch)
        except OSError:
            continue
        try:
            _clear(scratch, path)
        finally:
            os.close(handle)


def _clear(scratch: Path, path: Path) -> None:
    """Removes a scratch folder that this process holds; what was to be replaced and was not, comes back before."""
    replaced = scratch / _REPLACED
    if os.path.lexists(replaced) and not os.path.lexists(path):
        replaced.rename(path)
    shutil.rmtree(scratch, ignore_errors=True)
