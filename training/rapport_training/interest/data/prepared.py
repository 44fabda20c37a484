"""Samples ready for training: each an event to be explained, with the behaviours before it.

prepared.json                 `PreparedRecord`
items.parquet, users.parquet  column id; row number = index
item_values.npy, user_values.npy, item_created.npy
sequence.npy, sequence_time.npy
samples/SPLIT/COLUMN.npy      one vector per column of `Samples`

All arrays are memory-mapped: a log larger than memory can be read, and only the rows that a batch needs are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rapport_training.interest.batch import Field
from rapport_training.interest.data.array_file import map_array
from rapport_training.interest.data.errors import LogError
from rapport_training.interest.data.schema import GROUP_ROWS

Split = Literal["train", "validation", "test"]
SPLITS: Final[tuple[Split, ...]] = ("train", "validation", "test")
RECORD: Final = "prepared.json"
_ARRAYS: Final = ("item_values", "user_values", "item_created", "sequence", "sequence_time")
#: What a folder of prepared samples may hold.
NAMES: Final = (RECORD, "items.parquet", "users.parquet", "samples", *(f"{name}.npy" for name in _ARRAYS))
FORMAT: Final = 1


@dataclass(frozen=True)
class Samples:
    """n events to be explained.

    Attributes:
        user, item: (n,) int32, indexes.
        label: (n,) float32, 1 for a click, 0 for none.
        time: (n,) int64, Unix seconds; -1 where the log has no times.
        start, end: (n,) int64: the behaviours before the event are `PreparedLog.sequence[start:end]`, oldest first.
        cold: (n,) bool: the item is in no training sample.
    """

    user: NDArray[np.int32]
    item: NDArray[np.int32]
    label: NDArray[np.float32]
    time: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    cold: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.item)

    def take(self, rows: slice | NDArray[np.int64]) -> Samples:
        """Some of them."""
        return Samples(**{name: getattr(self, name)[rows] for name in COLUMNS})


#: Columns of `Samples` and their types on disk.
COLUMNS: Final[dict[str, Any]] = {
    "user": np.int32,
    "item": np.int32,
    "label": np.float32,
    "time": np.int64,
    "start": np.int64,
    "end": np.int64,
    "cold": np.bool_,
}
assert list(COLUMNS) == [field.name for field in fields(Samples)]


class PreparedRecord(msgspec.Struct, frozen=True, kw_only=True):
    """prepared.json.

    Attributes:
        name: of the data.
        protocol: one line that goes with every figure, such as "time 80/10/10, label = rating >= 4".
        digest: of the log and the settings.
        item_fields, user_fields: (name, vocabulary, columns) of each field.
        timed: whether there are times.
        rows: samples by split.
        counts: what else is worth knowing.
        settings: what `prepare` was asked for.
        format: of this folder.
    """

    name: str
    protocol: str
    digest: str
    item_fields: list[tuple[str, int, int]]
    user_fields: list[tuple[str, int, int]]
    timed: bool
    rows: dict[str, int]
    counts: dict[str, int] = {}
    settings: dict[str, Any] = {}
    format: int = FORMAT


class PreparedLog:
    """Samples on disk; see the attributes below. Arrays are read-only.

    Attributes:
        path, name, protocol, digest: see `PreparedRecord`.
        item_fields, user_fields: the first is "item" or "user", the second of items "category", then attributes.
        item_values: (items, all columns of item_fields) int32; row = item index, rows 0 and 1 are padding and unknown.
            Column 0 is the item's own index, or `UNKNOWN` for an item that the training split has neither as a target
            nor in a history: its embedding would never be trained.
        user_values: likewise for users.
        item_created: (items,) int64, Unix seconds of creation or of the first event; -1 unknown.
        sequence: (T,) int32, item indexes of all behaviours.
        sequence_time: (T,) int64, Unix seconds; None where the log has no times.
    """

    def __init__(self, path: Path, record: PreparedRecord) -> None:
        self.path = path
        self.record = record
        self.name = record.name
        self.protocol = record.protocol
        self.digest = record.digest
        self.item_fields = tuple(Field(*field) for field in record.item_fields)
        self.user_fields = tuple(Field(*field) for field in record.user_fields)
        self.item_values: NDArray[np.int32] = self._array("item_values")
        self.user_values: NDArray[np.int32] = self._array("user_values")
        self.item_created: NDArray[np.int64] = self._array("item_created")
        self.sequence: NDArray[np.int32] = self._array("sequence")
        self.sequence_time: NDArray[np.int64] | None = self._array("sequence_time") if record.timed else None
        self._samples: dict[Split, Samples] = {}

    @classmethod
    def open(cls, folder: Path) -> PreparedLog:
        """Opens prepared samples.

        Raises:
            LogError: if the folder is absent, damaged or of another format.
        """
        try:
            record = msgspec.json.decode((folder / RECORD).read_bytes(), type=PreparedRecord)
        except (OSError, msgspec.MsgspecError) as error:
            raise LogError(f"{folder} holds no prepared samples: {RECORD}: {error}") from error
        if record.format != FORMAT:
            raise LogError(f"{folder} has format {record.format}; this program reads {FORMAT}: prepare it again")
        return cls(folder, record)

    @cached_property
    def item_ids(self) -> list[str]:
        """Ids by index; "" for 0 and 1."""
        return self._ids("items")

    @cached_property
    def user_ids(self) -> list[str]:
        """Ids by index; "" for 0 and 1."""
        return self._ids("users")

    def samples(self, split: Split) -> Samples:
        """A split's samples.

        Raises:
            LogError: if its files are damaged.
        """
        if split not in self._samples:
            loaded = Samples(**{name: self._array(f"samples/{split}/{name}") for name in COLUMNS})
            lengths = {len(getattr(loaded, name)) for name in COLUMNS}
            if lengths != {self.record.rows[split]}:
                raise LogError(
                    f"{self.path}: the columns of samples/{split} have {sorted(lengths)} rows: prepare it again"
                )
            self._samples[split] = loaded
        return self._samples[split]

    def row_groups(self, split: Split, rows: int = GROUP_ROWS) -> Iterator[Samples]:
        """A split's samples in order, `rows` at a time, read from the disk when their turn comes."""
        samples = self.samples(split)
        for first in range(0, len(samples), rows):
            yield samples.take(slice(first, first + rows))

    def _array(self, name: str) -> NDArray[Any]:
        try:
            return map_array(self.path / f"{name}.npy")
        except (OSError, ValueError) as error:
            raise LogError(f"{self.path}: {name}.npy is missing or damaged: {error}") from error

    def _ids(self, name: str) -> list[str]:
        try:
            return pq.read_table(self.path / f"{name}.parquet", columns=["id"])["id"].to_pylist()
        except (OSError, ValueError) as error:
            raise LogError(f"{self.path}: {name}.parquet is missing or damaged: {error}") from error
