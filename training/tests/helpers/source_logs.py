"""Public data sets in miniature, and what came of them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from rapport_training.interest.data.errors import LogError
from rapport_training.interest.data.log import About, BehaviourLog
from rapport_training.interest.data.log_writer import LogWriter, write_log

Source = tuple[About, Callable[[LogWriter], None]]


def events_of(log: BehaviourLog, *columns: str) -> list[tuple[Any, ...]]:
    """These columns of every event, in the log's order."""
    table = pa.Table.from_batches(list(log.event_batches(columns)))
    return [tuple(row.values()) for row in table.to_pylist()]


def items_of(log: BehaviourLog) -> dict[str, dict[str, Any]]:
    """Every item by its id."""
    return {row["id"]: row for row in log.items().to_pylist()}


def log_of(source: Source, folder: Path) -> BehaviourLog:
    """The log made from a source."""
    return write_log(*source, folder / "log")


def refusal(source: Source, folder: Path) -> str:
    """What is said of a source that makes no log; nothing is left of the attempt."""
    with pytest.raises(LogError) as caught:
        write_log(*source, folder / "log")
    assert not (folder / "log").exists()
    return str(caught.value)


def movielens_1m(folder: Path, ratings: str) -> Path:
    """MovieLens 1M with one user and two films."""
    (folder / "movies.dat").write_bytes("1::Amélie (2001)::Comedy|Romance\n2::Nothing::Drama\n".encode("latin-1"))
    (folder / "users.dat").write_text("7::F::25::3::12345\n")
    (folder / "ratings.dat").write_text(ratings)
    return folder


def write_lines(path: Path, objects: list[dict[str, Any]]) -> Path:
    """One object of JSON per line, compressed where the name ends in .gz."""
    text = "".join(json.dumps(one) + "\n" for one in objects).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path
