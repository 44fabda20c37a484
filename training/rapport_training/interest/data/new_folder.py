"""Folders that appear whole or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rapport_edge.atomic import sync_folder
from rapport_edge.errors import SettingsError
from rapport_training.interest.data.errors import LogError


def check_target(out: Path, mark: str, *, overwrite: bool) -> None:
    """Before long work: whether `new_folder` may write there.

    Args:
        out: the folder.
        mark: the file that tells such a folder from others, such as "log.json".
        overwrite: replace one that is there.

    Raises:
        SettingsError: if something else is there, or a folder that is not to be replaced.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / mark).is_file():
        raise SettingsError(f"{out} is there and holds no {mark}; choose another folder for --out")
    if not overwrite:
        raise SettingsError(f"{out} is there; --overwrite replaces it")


@contextmanager
def new_folder(out: Path, mark: str, *, overwrite: bool) -> Iterator[Path]:
    """A folder that takes its name when all of it is written; see `check_target`.

    Raises:
        SettingsError: if something is in the way.
        LogError: if it cannot be written.
    """
    check_target(out, mark, overwrite=overwrite)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as scratch:
            folder = Path(scratch) / out.name
            folder.mkdir()
            yield folder
            _sync(folder)
            if out.exists():
                out.rename(Path(scratch) / "replaced")
            folder.rename(out)
        sync_folder(out.parent)
    except OSError as error:
        raise LogError(f"cannot write {out}: {error}") from error


def _sync(folder: Path) -> None:
    """Waits until all is on the disk: no name may outlive a power cut without its content."""
    for path in sorted(folder.rglob("*")):
        sync_folder(path)
    sync_folder(folder)
