"""Tables of one's own in the schema of a log: Parquet files that any program may have written.

events.parquet  user, item, time or order; where wanted kind, label, query, query_image
items.parquet   where wanted: id, and any of title, image, category, attributes, created
users.parquet   where wanted: id, attributes
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rapport_training.interest.data.errors import LogError
from rapport_training.interest.data.log import About
from rapport_training.interest.data.log_writer import LogWriter
from rapport_training.interest.data.pictures import Pictures
from rapport_training.interest.data.schema import TABLES
from rapport_training.interest.data.sources.text_files import ITEMS, need, reading

#: Columns without which a table says nothing.
_NEEDED: Final = {"events": ("user", "item"), "items": ("id",), "users": ("id",)}
#: Rows read at a time; pictures make those of items long.
_ROWS: Final = {"events": 65_536, "items": ITEMS, "users": 65_536}


def tables(folder: Path, about: About, pictures: Path | None = None) -> tuple[About, Callable[[LogWriter], None]]:
    """What describes the log, and what fills it.

    Args:
        folder: with the files.
        about: name, licence and what a label is of; without a name it is the folder's.
        pictures: zip file or folder with ID.jpg, for items without a picture of their own.

    Raises:
        LogError: if a file or a column is missing, or is none of the schema.
    """
    timed = "time" in _columns(need(folder, "events.parquet"), "events")
    about = About(
        about.name or folder.resolve().name, folder.name, about.licence, about.label_name, about.label_scale, timed
    )
    return about, lambda writer: _fill(folder, about, Pictures(pictures), writer)


def _fill(folder: Path, about: About, pictures: Pictures, writer: LogWriter) -> None:
    for block in _blocks(folder / "items.parquet", "items"):
        ids = block["id"].to_pylist()
        images = block["image"].to_pylist() if "image" in block else [None] * len(ids)
        block["image"] = [image or pictures.get(item or "") for item, image in zip(ids, images, strict=True)]
        writer.add_items(**block)
    for block in _blocks(folder / "users.parquet", "users"):
        writer.add_users(**block)
    for block in _blocks(folder / "events.parquet", "events"):
        if "label" in block:
            block["label"] = pc.divide(block["label"], pa.scalar(about.label_scale, pa.float32()))
        writer.add_events(**block)


def _blocks(path: Path, name: str) -> Iterator[dict[str, Any]]:
    """Columns as the schema wants them, some rows at a time; nothing where there is no such file."""
    if not path.is_file():
        return
    _columns(path, name)
    with reading(path), pq.ParquetFile(path, page_checksum_verification=True) as file:
        for batch in file.iter_batches(batch_size=_ROWS[name]):
            yield {column: _cast(path, batch[column], TABLES[name].field(column)) for column in batch.schema.names}


def _columns(path: Path, name: str) -> list[str]:
    with reading(path), pq.ParquetFile(path) as file:
        found = list(file.schema_arrow.names)
    for column in _NEEDED[name]:
        if column not in found:
            raise LogError(f"{path} lacks the column {column!r}")
    for column in found:
        if column not in TABLES[name].names:
            raise LogError(f"{path}: the column {column!r} is none of {', '.join(TABLES[name].names)}; leave it out")
    if name == "events" and not {"time", "order"} & set(found):
        raise LogError(f"{path} has neither the column 'time' nor 'order': no history can be made")
    return found


def _cast(path: Path, values: pa.Array, wanted: pa.Field) -> pa.Array:
    """A column of another type as that of the schema, where nothing is lost or guessed."""
    kind = values.type
    if wanted.type == pa.string() and not _is_id(kind):
        raise LogError(f"{path}: column {wanted.name!r} is {kind}; expected text, or whole numbers as ids")
    try:
        if pa.types.is_temporal(kind) and wanted.name in {"time", "created"}:
            # What is finer than a second is cut off.
            return pc.cast(
                values, pa.timestamp("s", kind.tz if pa.types.is_timestamp(kind) else None), safe=False
            ).cast(pa.int64())
        return values.cast(wanted.type)
    except pa.ArrowException as error:
        expected = "Unix seconds or timestamps" if wanted.name in {"time", "created"} else str(wanted.type)
        raise LogError(f"{path}: column {wanted.name!r} is {kind}, expected {expected}: {error}") from error


def _is_id(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_id(kind.value_type)
    return (
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_null(kind)
    )
