"""Errors of trainings, in words for people."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rapport_edge.errors import RapportError


class TrainingError(RapportError):
    """A training that cannot go on."""


class Interrupted(RapportError):
    """A training that was stopped by Ctrl-C; the command line ends with exit status 130, as shells expect."""


@contextmanager
def ctrl_c_means_later(run: Path) -> Iterator[None]:
    """Around Lightning's `fit`, which leaves the process after Ctrl-C.

    Raises:
        Interrupted: instead, naming the folder that the same command goes on from.
    """
    try:
        yield
    except SystemExit as error:
        raise Interrupted(f"stopped; the same command goes on from {run}'s last whole epoch") from error
