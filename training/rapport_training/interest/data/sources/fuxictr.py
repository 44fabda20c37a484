"""FuxiCTR's CSV files as a log: a row is an event.

The histories in the files are left aside: nothing says when they were, and `prepare` makes histories of the events. To
keep them, prepare the files as they are (`fuxictr_prepared`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from rapport_training.interest.data.fuxictr_files import FuxiCtrColumns
from rapport_training.interest.data.log import About
from rapport_training.interest.data.log_writer import LogWriter
from rapport_training.interest.data.sources.text_files import csv_blocks

LICENCE: Final = "as the data set it was made of"


def fuxictr(
    paths: Sequence[Path], columns: FuxiCtrColumns | None = None, time: str = ""
) -> tuple[About, Callable[[LogWriter], None]]:
    """What describes the log, and what fills it.

    Args:
        paths: CSV files with a header, in their order.
        columns: what the files call things.
        time: column with Unix seconds; "": the order of the rows is all that is known.
    """
    source = ", ".join(path.name for path in paths)
    about = About(f"FuxiCTR {paths[0].parent.name}", source, LICENCE, timed=bool(time))
    return about, lambda writer: _fill(paths, columns or FuxiCtrColumns(), time, writer)


def _fill(paths: Sequence[Path], names: FuxiCtrColumns, time: str, writer: LogWriter) -> None:
    types: dict[str, Any] = {names.label: pa.float32(), names.user: pa.string(), names.item: pa.string()}
    types |= {time: pa.int64()} if time else {}
    types |= {names.category: pa.string()} if names.category else {}
    category: dict[str, str] = {}
    rows = 0
    for path in paths:
        for block in csv_blocks(path, types):
            when = {"time": block[time]} if time else {"order": np.arange(rows, rows + len(block))}
            writer.add_events(user=block[names.user], item=block[names.item], label=block[names.label], **when)
            rows += len(block)
            if names.category:
                for item, name in zip(block[names.item].to_pylist(), block[names.category].to_pylist(), strict=True):
                    category.setdefault(item, name)
    if category:
        writer.add_items(id=list(category), category=list(category.values()))
