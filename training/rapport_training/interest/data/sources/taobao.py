"""Taobao's UserBehavior.csv: user, item, category, behaviour, time; 100 million lines without a header.

Lines outside of the nine days that Alibaba names (25 November to 3 December 2017, Chinese time) are left out: they are
known to be wrong. Every line is something that a user did, so that negatives must be sampled.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from rapport_training.interest.data.errors import LogError
from rapport_training.interest.data.log import About
from rapport_training.interest.data.log_writer import LogWriter
from rapport_training.interest.data.sources.text_files import csv_blocks

LICENCE: Final = "research use (Alibaba Tianchi)"
_KINDS: Final = {"pv": "click", "cart": "cart", "fav": "favourite", "buy": "purchase"}
_FIRST, _AFTER = 1_511_539_200, 1_512_316_800
_TYPES: Final = dict(
    zip(
        ["user", "item", "category", "behaviour", "time"],
        [pa.string(), pa.string(), pa.string(), pa.string(), pa.int64()],
        strict=True,
    )
)


def taobao(path: Path) -> tuple[About, Callable[[LogWriter], None]]:
    """What describes the log, and what fills it."""
    return About("Taobao UserBehavior", path.name, LICENCE), lambda writer: _fill(path, writer)


def _fill(path: Path, writer: LogWriter) -> None:
    category: dict[str, str] = {}
    codes, names = pa.array(list(_KINDS)), pa.array(list(_KINDS.values()))
    rows = 0
    for block in csv_blocks(path, _TYPES, header=False):
        place = pc.index_in(block["behaviour"], codes)
        if place.null_count:
            row = rows + pc.index(pc.is_null(place), True).as_py()
            raise LogError(f"{path}, line {row + 1}: the behaviour is none of {', '.join(_KINDS)}")
        inside = pc.and_(pc.greater_equal(block["time"], _FIRST), pc.less(block["time"], _AFTER))
        outside = len(block) - pc.sum(inside).as_py()
        if outside:
            writer.dropped["events outside of the nine days"] += outside
        _remember(category, block)
        writer.add_events(
            user=block["user"].filter(inside),
            item=block["item"].filter(inside),
            time=block["time"].filter(inside),
            kind=names.take(place).filter(inside),
        )
        rows += len(block)
    known = [item for item in category if writer.has_events(item)]
    writer.add_items(id=known, category=[category[item] for item in known])


def _remember(category: dict[str, str], block: pa.RecordBatch) -> None:
    """The first category that an item comes with is its category."""
    pairs = (
        pa.table({"item": block["item"], "category": block["category"]}).group_by(["item", "category"]).aggregate([])
    )
    for item, name in zip(pairs["item"].to_pylist(), pairs["category"].to_pylist(), strict=True):
        category.setdefault(item, name)
