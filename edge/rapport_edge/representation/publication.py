"""Versions of the table in a folder: current.json names the one that readers take.

table-<version>.rows appears whole under its name before current.json names it. The version before stays for readers
that have just read its name; older ones are removed. A reader that has one mapped keeps it: the file's space is freed
with the last map.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from rapport_edge.atomic import sync_folder, write_atomically
from rapport_edge.representation.errors import CentreDamagedError, CentreError, CentreFullError
from rapport_edge.representation.table import FrozenTable

CURRENT: Final = "current.json"

#: A reader may find a name whose file was removed since; it reads the new name then.
_ATTEMPTS: Final = 10


class Current(msgspec.Struct, frozen=True):
    """What current.json says."""

    version: int
    file: str


def table_path(folder: Path, version: int) -> Path:
    """Where a version lies."""
    return folder / f"table-{version:08d}.rows"


def scratch_path(folder: Path) -> Path:
    """Where a version is written before it has a name."""
    return folder / ".table.writing"


def read_current(folder: Path) -> Current | None:
    """The newest version; None before the first.

    Raises:
        CentreDamagedError: current.json is not what was written.
        CentreError: it cannot be read.
    """
    try:
        return msgspec.json.decode((folder / CURRENT).read_bytes(), type=Current)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unreadable(folder / CURRENT, error) from error
    except msgspec.DecodeError as error:
        raise CentreDamagedError(
            f"{folder / CURRENT} is damaged ({error}); open the centre for writing, which publishes it anew"
        ) from error


def open_current(folder: Path, *, verify: bool) -> FrozenTable | None:
    """The newest table; None before the first.

    Raises:
        CentreDamagedError: it is not what was written, or missing.
        CentreError: it cannot be read.
    """
    for _ in range(_ATTEMPTS):
        current = read_current(folder)
        if current is None:
            return None
        try:
            return FrozenTable(folder / current.file, verify=verify)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise unreadable(folder / current.file, error) from error
    raise CentreDamagedError(
        f"{folder / CURRENT} names a table that is not there; open the centre for writing, which publishes it anew"
    )


def stamp(folder: Path) -> tuple[int, int] | None:
    """Changes when a version is published: a cheap question for every lookup. None before the first."""
    try:
        status = os.stat(folder / CURRENT)  # noqa: PTH116 - twice as fast as pathlib's, before every lookup
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns


def make_current(folder: Path, version: int) -> None:
    """Gives the file at `scratch_path` its name and lets readers find it.

    Raises:
        CentreFullError: there is no space; the version before stays the current one.
        CentreError: the folder cannot be written.
    """
    path = table_path(folder, version)
    try:
        scratch_path(folder).replace(path)
        sync_folder(folder)
        write_atomically(folder / CURRENT, msgspec.json.encode(Current(version, path.name)))
    except OSError as error:
        kind = CentreFullError if error.errno in {errno.ENOSPC, errno.EDQUOT} else CentreError
        raise kind(f"cannot publish into {folder}: {error.strerror}; the version before stays") from error


def highest_version(folder: Path) -> int:
    """Of all files that are there, so that no name is ever used for two contents; 0 for none."""
    return max((version for version, _ in _tables(folder)), default=0)


def remove_old(folder: Path, version: int) -> None:
    """Removes what nobody will open any more: versions before the previous one, and what a killed writer left."""
    for found, path in list(_tables(folder)):
        if found < version - 1:
            path.unlink(missing_ok=True)
    scratch_path(folder).unlink(missing_ok=True)


def unreadable(path: Path, error: OSError) -> CentreError:
    """What to say of a file that is there."""
    return CentreError(f"cannot read {path}: {error.strerror}; check owner and mode, and the number of open files")


def _tables(folder: Path) -> Iterator[tuple[int, Path]]:
    for path in folder.glob("table-*.rows"):
        digits = path.stem.removeprefix("table-")
        if digits.isdecimal():
            yield int(digits), path
