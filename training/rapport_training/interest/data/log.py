"""A behaviour log: who met which item when, and what the items look like.

items.parquet   one row per item, `schema.ITEMS`
users.parquet   one row per user, `schema.USERS`
events.parquet  sorted by time, or by order where there are no times; row groups of at most 65,536, `schema.EVENTS`
log.json        `LogRecord`
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from rapport_training.interest.data.errors import LogError
from rapport_training.interest.data.schema import TABLES

RECORD: Final = "log.json"
#: What a log's folder may hold; pictures and tokens are what trainings keep there to be faster next time.
NAMES: Final = (RECORD, *(f"{name}.parquet" for name in TABLES), "pictures", "tokens")
FORMAT: Final = 1


class About(msgspec.Struct, frozen=True):
    """What a converter knows of a log before it reads it.

    Attributes:
        name: of the data, such as "MovieLens 100K".
        source: where it came from, in words.
        licence: what may be done with it.
        label_name: what `label` was made of, such as "rating" or "click".
        label_scale: `label` times this is in the source's own unit: 5 for stars.
        timed: whether events have times; otherwise only an order.
    """

    name: str
    source: str = ""
    licence: str = ""
    label_name: str = "click"
    label_scale: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    timed: bool = True


class LogRecord(About, frozen=True, kw_only=True):
    """log.json: what a log is, and what was found in it.

    Attributes:
        items, users, events: counts.
        digest: SHA-256 of the three tables.
        dropped: how many rows of the source were left out, by reason.
        notes: other counts, such as broken pictures.
        format: of this folder.
    """

    items: int
    users: int
    events: int
    digest: str
    dropped: dict[str, int] = {}
    notes: dict[str, int] = {}
    format: int = FORMAT


class BehaviourLog:
    """A log on disk; events are streamed."""

    def __init__(self, path: Path, record: LogRecord) -> None:
        self.path = path
        self.record = record
        self.name = record.name
        self.digest = record.digest
        self.item_count = record.items
        self.user_count = record.users
        self.event_count = record.events

    @classmethod
    def open(cls, folder: Path) -> BehaviourLog:
        """Opens a log and checks that its tables are what log.json says.

        Raises:
            LogError: if it is absent or damaged, or lacks a column.
        """
        try:
            record = msgspec.json.decode((folder / RECORD).read_bytes(), type=LogRecord)
        except (OSError, msgspec.MsgspecError) as error:
            raise LogError(f"{folder} is no behaviour log: {RECORD}: {error}") from error
        if record.format != FORMAT:
            raise LogError(
                f"{folder} has format {record.format}; this program reads {FORMAT}: convert the source again"
            )
        for name, schema in TABLES.items():
            _check_table(folder / f"{name}.parquet", schema, getattr(record, name))
        return cls(folder, record)

    def items(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All items, in the order of the file. Leave out "image" where memory is short."""
        return self._table("items", columns)

    def users(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All users, in the order of the file."""
        return self._table("users", columns)

    def event_batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Events by row group, sorted by time or order; one group is in memory at a time."""
        return self._batches("events", columns)

    def item_batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Items by row group, for catalogues whose pictures are larger than memory."""
        return self._batches("items", columns)

    def _batches(self, name: str, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        path = self.path / f"{name}.parquet"
        with _reading(path), _open(path) as file:
            for group in range(file.num_row_groups):
                yield from file.read_row_group(group, columns=columns).combine_chunks().to_batches()

    def _table(self, name: str, columns: Sequence[str] | None) -> pa.Table:
        path = self.path / f"{name}.parquet"
        with _reading(path), _open(path) as file:
            return file.read(columns=columns)


def _open(path: Path) -> pq.ParquetFile:
    """Reads with checksums: a flipped bit in an id or a picture would train silently."""
    return pq.ParquetFile(path, page_checksum_verification=True)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turns what pyarrow says about a damaged file into a `LogError`."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise LogError(f"cannot read {path}: {error}") from error


def _check_table(path: Path, schema: pa.Schema, rows: int) -> None:
    with _reading(path), _open(path) as file:
        found = file.schema_arrow
        metadata_rows = file.metadata.num_rows
    for field in schema:
        if field.name not in found.names:
            raise LogError(f"{path} lacks the column {field.name!r}")
        if not found.field(field.name).type.equals(field.type):
            raise LogError(f"{path}: column {field.name!r} is {found.field(field.name).type}, expected {field.type}")
    if metadata_rows != rows:
        raise LogError(f"{path} has {metadata_rows} rows, {RECORD} says {rows}; convert the source again")
