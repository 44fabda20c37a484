"""Writes a behaviour log from what a converter reads, whatever its order and size."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tqdm import tqdm

from rapport_edge.atomic import write_synced
from rapport_edge.errors import ImageError
from rapport_edge.images import decode_compressed
from rapport_training.interest.data.columns import check_labels, check_times, table_of
from rapport_training.interest.data.errors import LogError
from rapport_training.interest.data.event_sort import KEY, MEMORY_BYTES, ROW, EventSort
from rapport_training.interest.data.log import NAMES, RECORD, About, BehaviourLog, LogRecord
from rapport_training.interest.data.new_folder import new_folder
from rapport_training.interest.data.schema import EVENTS, GROUP_ROWS, ITEMS, TABLES, USERS

#: Pictures make rows of items long.
_ITEM_GROUP_ROWS: Final = 1000


def write_log(
    about: About,
    fill: Callable[[LogWriter], None],
    out: Path,
    *,
    overwrite: bool = False,
    memory_bytes: int = MEMORY_BYTES,
) -> BehaviourLog:
    """Writes a log, whole or not at all.

    Args:
        about: for log.json.
        fill: gives items, users and events to the writer.
        out: the folder.
        overwrite: replace a log that is there.
        memory_bytes: of events sorted in memory at a time.

    Raises:
        LogError: if the source is not as expected, has no events, or the folder cannot be written.
        SettingsError: if something is in the way.
    """
    with new_folder(out, NAMES, overwrite=overwrite) as folder:
        writer = LogWriter(folder, about, memory_bytes)
        try:
            fill(writer)
            writer.finish()
        finally:
            writer.close()
    return BehaviourLog.open(out)


class LogWriter:
    """Takes rows; missing columns are filled with nothing.

    Args:
        folder: an empty folder.
        about: for log.json.
        memory_bytes: of events sorted in memory at a time.

    Attributes:
        dropped: rows of the source that were left out, by reason; converters add theirs.
        notes: other counts for log.json.
    """

    def __init__(self, folder: Path, about: About, memory_bytes: int = MEMORY_BYTES) -> None:
        self._folder = folder
        self._about = about
        self._sort = EventSort(folder, memory_bytes)
        self._files = {
            name: pq.ParquetWriter(folder / f"{name}.parquet", schema, compression="zstd", write_page_checksum=True)
            for name, schema in TABLES.items()
        }
        self._described: dict[str, dict[str, None]] = {"items": {}, "users": {}}
        self._met: dict[str, dict[str, None]] = {"items": {}, "users": {}}
        self._events = 0
        self._bar = tqdm(desc=about.name, unit="event", unit_scale=True, disable=None)
        self.dropped: Counter[str] = Counter()
        self.notes: Counter[str] = Counter()

    def has_events(self, item: str) -> bool:
        """Whether an event with the item was added: catalogues are often far larger than their logs."""
        return item in self._met["items"]

    def add_items(self, **columns: Any) -> None:
        """Adds items: columns of `schema.ITEMS`, lists or arrays; pictures are checked, broken ones left out."""
        if "image" in columns:
            columns["image"] = [self._checked(image) for image in columns["image"]]
        table = table_of(columns, ITEMS, {"title": "", "category": ""})
        self._write_new("items", table, _ITEM_GROUP_ROWS)

    def add_users(self, **columns: Any) -> None:
        """Adds users: columns of `schema.USERS`."""
        self._write_new("users", table_of(columns, USERS, {}), GROUP_ROWS)

    def add_events(self, **columns: Any) -> None:
        """Adds events in any order: columns of `schema.EVENTS`; kind is "click" and label 1 where they are left out.

        Raises:
            LogError: if a label is NaN or outside of [0, 1], or a time is no Unix seconds.
        """
        table = table_of(columns, EVENTS, {"kind": "click", "label": 1.0})
        for column in ("user", "item"):
            table = self._without(table, pc.equal(pc.fill_null(table[column], ""), ""), f"events without a {column}")
        key = "time" if self._about.timed else "order"
        table = self._without(table, pc.is_null(table[key]), f"events without {key}")
        check_labels(table["label"], self._sort.rows)
        if self._about.timed:
            check_times(table["time"])
        for name, column in (("users", "user"), ("items", "item")):
            self._met[name].update(dict.fromkeys(pc.unique(table[column]).to_pylist()))
        self._sort.add(table, table[key])
        self._bar.update(len(table))

    def finish(self) -> LogRecord:
        """Sorts the events, adds items and users that only events name, and writes log.json."""
        if not self._sort.rows:
            raise LogError(f"{self._about.source or self._about.name} has no usable events ({dict(self.dropped)})")
        self._write_events()
        for name, add in (("items", self.add_items), ("users", self.add_users)):
            bare = [one for one in self._met[name] if one not in self._described[name]]
            if bare:
                if self._described[name]:
                    self.notes[f"{name} of events without a description"] += len(bare)
                add(id=bare)
        self.close()
        record = LogRecord(
            **msgspec.structs.asdict(self._about),
            items=len(self._described["items"]),
            users=len(self._described["users"]),
            events=self._events,
            digest=_digest(self._folder),
            dropped=dict(self.dropped),
            notes=dict(self.notes),
        )
        write_synced(self._folder / RECORD, msgspec.json.format(msgspec.json.encode(record)) + b"\n")
        return record

    def close(self) -> None:
        """Closes the files; harmless when they are."""
        self._bar.close()
        for file in self._files.values():
            file.close()

    def _checked(self, image: bytes | None) -> bytes | None:
        if not image:
            return None
        try:
            decode_compressed(image)
        except ImageError:
            self.notes["broken pictures left out"] += 1
            return None
        return image

    def _without(self, table: pa.Table, unwanted: Any, reason: str) -> pa.Table:
        count = pc.sum(unwanted).as_py() or 0
        if not count:
            return table
        self.dropped[reason] += count
        return table.filter(pc.invert(unwanted))

    def _write_new(self, name: str, table: pa.Table, group_rows: int) -> None:
        """Writes the rows whose id has not come before."""
        known = self._described[name]
        new = np.zeros(len(table), np.bool_)
        for row, one in enumerate(table["id"].to_pylist()):
            if one and one not in known:
                known[one] = None
                new[row] = True
        if not new.all():
            self.dropped[f"{name} without an id or with one that came before"] += int((~new).sum())
            table = table.filter(pa.array(new))
        if len(table):
            self._files[name].write_table(table, row_group_size=group_rows)

    def _write_events(self) -> None:
        """Sorted, without duplicates, in row groups of one size."""
        waiting = EVENTS.empty_table()
        for part in self._sort.merged():
            waiting = pa.concat_tables([waiting, self._distinct(part).select(EVENTS.names)])
            whole = len(waiting) - len(waiting) % GROUP_ROWS
            if whole:
                self._files["events"].write_table(waiting.slice(0, whole), row_group_size=GROUP_ROWS)
            waiting = waiting.slice(whole)
            self._events += whole
        if len(waiting):
            self._files["events"].write_table(waiting, row_group_size=GROUP_ROWS)
        self._events += len(waiting)

    def _distinct(self, table: pa.Table) -> pa.Table:
        """Of events with the same user, item, time and kind, the first of the source."""
        first = table.group_by([KEY, "user", "item", "kind"]).aggregate([(ROW, "min")])[f"{ROW}_min"]
        if len(first) == len(table):
            return table
        self.dropped["duplicates of the same user, item, time and kind"] += len(table) - len(first)
        return table.filter(pc.is_in(table[ROW], value_set=first.combine_chunks()))


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for name in TABLES:
        with (folder / f"{name}.parquet").open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
