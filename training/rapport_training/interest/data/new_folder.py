"""Folders that appear whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rapport_edge.atomic import replace_folder, scratch_beside, sync_folder
from rapport_edge.errors import SettingsError
from rapport_training.interest.data.errors import LogError


def check_target(out: Path, names: Sequence[str], *, overwrite: bool) -> None:
    """Before long work: whether `new_folder` may write there.

    Args:
        out: the folder.
        names: what such a folder may hold; the first, such as "log.json", tells it from others.
        overwrite: replace one that is there.

    Raises:
        SettingsError: if something else is there, or a folder that is not to be replaced.
        OSError: if the folder cannot be read.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / names[0]).is_file():
        raise SettingsError(f"{out} is there and holds no {names[0]}; choose another folder for --out")
    if not overwrite:
        raise SettingsError(f"{out} is there; --overwrite replaces it")
    others = sorted({path.name for path in out.iterdir()} - set(names))
    if others:
        raise SettingsError(f"{out} holds {others[0]}, too, which --overwrite would delete; move it elsewhere")


@contextmanager
def new_folder(out: Path, names: Sequence[str], *, overwrite: bool) -> Iterator[Path]:
    """A folder that takes its name when all of it is written; see `check_target`.

    Raises:
        SettingsError: if something is in the way.
        LogError: if it cannot be written.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with scratch_beside(out) as scratch:
            check_target(out, names, overwrite=overwrite)
            folder = scratch / out.name
            folder.mkdir()
            yield folder
            _sync(folder)
            check_target(out, names, overwrite=overwrite)  # what came to lie there meanwhile
            replace_folder(folder, out)
    except OSError as error:
        raise LogError(f"cannot write {out}: {error}") from error


def _sync(folder: Path) -> None:
    """Waits until all is on the disk: no name may outlive a power cut without its content."""
    for path in sorted(folder.rglob("*")):
        sync_folder(path)
    sync_folder(folder)
