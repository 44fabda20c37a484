"""Files that appear whole or not at all, also after a power cut."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


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
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as scratch:
        written = Path(scratch) / path.name
        write_synced(written, content, mode)
        written.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Makes new names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
