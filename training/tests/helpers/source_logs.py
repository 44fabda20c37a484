"""Public data sets in miniature, and what came of them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pytest

from rapport_training.interest.data.errors import LogError
from rapport_training.interest.data.log import BehaviourLog
from rapport_training.interest.data.log_writer import write_log


def events_of(log: BehaviourLog, *columns: str) -> list[tuple]:
    table = pa.Table.from_batches(list(log.event_batches(columns)))
    return [tuple(row.values()) for row in table.to_pylist()]


def items_of(log: BehaviourLog) -> dict[str, dict]:
    return {row["id"]: row for row in log.items().to_pylist()}


def log_of(source, folder: Path) -> BehaviourLog:
    return write_log(*source, folder / "log")


def refusal(source, folder: Path) -> str:
    with pytest.raises(LogError) as caught:
        write_log(*source, folder / "log")
    assert not (folder / "log").exists()
    return str(caught.value)


def movielens_1m(folder: Path, ratings: str) -> Path:
    (folder / "movies.dat").write_bytes("1::Amélie (2001)::Comedy|Romance\n2::Nothing::Drama\n".encode("latin-1"))
    (folder / "users.dat").write_text("7::F::25::3::12345\n")
    (folder / "ratings.dat").write_text(ratings)
    return folder


def write_lines(path: Path, objects: list[dict]) -> Path:
    text = "".join(json.dumps(one) + "\n" for one in objects).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path
