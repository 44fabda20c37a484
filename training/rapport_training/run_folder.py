"""What all run folders share: what went in, what came out, and whether the training ended by itself.

recipe.yaml    the recipe with the seed that was used
run.json       what it was trained on, by digest; versions, commit, command
checkpoints/   last.ckpt and, where the recipe stops early, best.ckpt
history.csv    every epoch's figures; curves.png draws them (`history`)
finished       the training ended by itself: all epochs done, or stopped early
"""

from __future__ import annotations

import fcntl
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from rapport_edge.atomic import write_atomically
from rapport_edge.errors import SettingsError
from rapport_training.commit import current_commit

LAST: Final = "last.ckpt"
BEST: Final = "best.ckpt"
FINISHED: Final = "finished"

#: Packages that every training's figures depend on.
PACKAGES: Final = ("torch", "lightning", "numpy", "rapport-training")

_T = TypeVar("_T")


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """What ran. A stage's record derives from it and adds what the stage read.

    Attributes:
        command, commit, versions: of the program.
    """

    command: str = ""
    commit: str = ""
    versions: dict[str, str] = {}


def provenance(packages: Iterable[str] = PACKAGES) -> dict[str, Any]:
    """The fields of `Provenance` for the process that is running."""
    return {
        "command": " ".join(["rapport-train", *sys.argv[1:]]),
        "commit": current_commit(),
        "versions": {name: version(name) for name in packages},
    }


@contextmanager
def owned(run: Path) -> Iterator[None]:
    """The folder belongs to one training at a time; its processes count as one, and its first one holds the lock.

    Raises:
        SettingsError: if another training is at work in it, or it cannot be made.
    """
    from lightning.pytorch.utilities import rank_zero_only  # it reads the rank of every launcher; slow to import

    if getattr(rank_zero_only, "rank", 0):
        yield
        return
    try:
        run.mkdir(parents=True, exist_ok=True)
        lock = (run / ".lock").open("w")
    except OSError as error:
        raise SettingsError(f"cannot make the run folder {run}: {error.strerror}") from error
    with lock:
        try:
            # Not flock: the loader's workers would inherit it and outlive a training that was killed.
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SettingsError(f"another training is at work in {run}; wait for it, or take another --run") from error
        yield


def begin(run: Path, recipe: bytes, record: Provenance, must_match: Sequence[str]) -> None:
    """Writes recipe.yaml and run.json, or checks that the folder's are of the same run.

    Args:
        run: the folder; made where there is none.
        recipe: the recipe with its seed, as YAML.
        record: for run.json.
        must_match: fields of `record` in which a run that goes on may not differ.

    Raises:
        SettingsError: if the folder holds another run, with what differs.
    """
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"cannot make the run folder {run}: {error.strerror}") from error
    if not checkpoints(run):
        write_atomically(run / "recipe.yaml", recipe)
        write_atomically(run / "run.json", msgspec.json.format(msgspec.json.encode(record)) + b"\n")
        return
    before = read_record(run, type(record))
    differing = [name for name in must_match if getattr(before, name) != getattr(record, name)]
    if msgspec.yaml.decode((run / "recipe.yaml").read_bytes()) != msgspec.yaml.decode(recipe):
        differing.insert(0, "recipe")
    if differing:
        raise SettingsError(
            f"{run} holds a run with another {', '.join(differing)}; take another --run, or --no-resume to start over"
        )


def read_record(run: Path, kind: type[_T]) -> _T:
    """run.json.

    Raises:
        SettingsError: if it is missing or damaged.
    """
    try:
        return msgspec.json.decode((run / "run.json").read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError) as error:
        raise SettingsError(f"{run} is not a run folder: run.json: {error}") from error


def checkpoints(run: Path) -> list[Path]:
    """The run's checkpoints."""
    return sorted((run / "checkpoints").glob("*.ckpt"))


def is_finished(run: Path) -> bool:
    """Whether the training ended by itself: all epochs done, or stopped early."""
    return (run / FINISHED).is_file()


def mark_finished(run: Path) -> None:
    """Says that the training ended by itself."""
    write_atomically(run / FINISHED, b"")


def discard(run: Path) -> None:
    """Removes what an earlier run in this folder trained."""
    for path in [*checkpoints(run), run / FINISHED]:
        path.unlink(missing_ok=True)
