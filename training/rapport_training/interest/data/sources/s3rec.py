"""Sequences as S3-Rec and its successors publish them: a line per user, the user first, then items in order.

There are no times, only the order; and only what users liked, so that negatives must be sampled.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from rapport_training.interest.data.errors import LogError
from rapport_training.interest.data.log import About
from rapport_training.interest.data.log_writer import LogWriter
from rapport_training.interest.data.sources.text_files import reading

LICENCE: Final = "academic use, as the data set it was made of"
_LINES: Final = 10_000


def s3rec(path: Path, attributes: Path | None = None) -> tuple[About, Callable[[LogWriter], None]]:
    """What describes the log, and what fills it.

    Args:
        path: the sequences.
        attributes: NAME_item2attributes.json: lists of attributes by item.
    """
    about = About(f"S3-Rec {path.stem}", path.name, LICENCE, label_name="interaction", timed=False)
    return about, lambda writer: _fill(path, attributes, writer)


def _fill(path: Path, attributes: Path | None, writer: LogWriter) -> None:
    lines = _lines(path)
    while block := list(islice(lines, _LINES)):
        lengths = np.array([len(line) - 1 for line in block])
        writer.add_events(
            user=pa.array([line[0] for line in block]).take(np.repeat(np.arange(len(block)), lengths)),
            item=[item for line in block for item in line[1:]],
            order=np.concatenate([np.arange(1, length + 1) for length in lengths]),
            kind=pa.repeat("interaction", int(lengths.sum())),
        )
    if attributes is not None:
        known = {item: values for item, values in _attributes(attributes).items() if writer.has_events(item)}
        writer.add_items(id=list(known), attributes=[[("attribute", values)] for values in known.values()])


def _lines(path: Path) -> Iterator[list[str]]:
    users: set[str] = set()
    with reading(path), path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            parts = line.split()
            if not parts:
                continue
            if len(parts) < 2:
                raise LogError(f"{path}, line {number}: expected a user and at least one item, parted by blanks")
            if parts[0] in users:
                raise LogError(f"{path}, line {number}: user {parts[0]} had a line before; the order is not known")
            users.add(parts[0])
            yield parts


def _attributes(path: Path) -> dict[str, list[str]]:
    try:
        return {item: [str(value) for value in values] for item, values in json.loads(path.read_bytes()).items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise LogError(f"cannot read {path}: {error}; expected lists of attributes by item") from error
