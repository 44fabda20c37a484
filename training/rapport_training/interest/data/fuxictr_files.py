"""FuxiCTR's files: what their columns are called, and their rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rapport_edge.errors import SettingsError
from rapport_training.interest.data.errors import LogError

_BLOCK_BYTES: Final = 16 << 20


@dataclass(frozen=True)
class FuxiCtrColumns:
    """Names of the columns. category and category_history may be "": the file has none."""

    label: str = "label"
    user: str = "user_id"
    item: str = "item_id"
    category: str = "cate_id"
    history: str = "item_history"
    category_history: str = "cate_history"
    separator: str = "^"


def columns_of(given: Sequence[str]) -> FuxiCtrColumns:
    """Columns from "what=name", such as "item=movie_id"; "category=" says that there is none.

    Raises:
        SettingsError: if one is not of that kind.
    """
    pairs = [one.partition("=") for one in given]
    known = [field.name for field in fields(FuxiCtrColumns)]
    for name, equals, _ in pairs:
        if not equals or name not in known:
            raise SettingsError(
                f"--column {name}{equals}: expected such as item=movie_id; there are {', '.join(known)}"
            )
    columns = replace(FuxiCtrColumns(), **{name: value for name, _, value in pairs})
    if not columns.separator:
        raise SettingsError("--column separator=: expected what parts a history's items, such as separator=^")
    return columns


def blocks(path: Path, names: FuxiCtrColumns) -> Iterator[pa.RecordBatch]:
    """A CSV or Parquet file's wanted columns as strings, or lists of strings, some rows at a time.

    Raises:
        LogError: if it cannot be read, or lacks a column, a user or an item.
    """
    wanted = [
        name
        for name in (names.label, names.user, names.item, names.category, names.history, names.category_history)
        if name
    ]
    try:
        for block in _parquet_blocks(path, wanted) if path.suffix == ".parquet" else _csv_blocks(path, wanted):
            _refuse_absent(block, [names.user, names.item], path)
            yield block
    except (OSError, KeyError, pa.ArrowException) as error:
        raise LogError(f"cannot read {path}: {error}; expected the columns {', '.join(wanted)}") from error


def _csv_blocks(path: Path, wanted: list[str]) -> Iterator[pa.RecordBatch]:
    # One thread: only then errors name the row.
    read = pacsv.ReadOptions(block_size=_BLOCK_BYTES, use_threads=False)
    convert = pacsv.ConvertOptions(column_types=dict.fromkeys(wanted, pa.string()), include_columns=wanted)
    with pacsv.open_csv(path, read, convert_options=convert) as blocks:
        yield from blocks


def _parquet_blocks(path: Path, wanted: list[str]) -> Iterator[pa.RecordBatch]:
    """Numbers become strings, lists lists of strings."""
    with pq.ParquetFile(path) as file:
        for block in file.iter_batches(columns=wanted):
            kinds = [pa.list_(pa.string()) if _is_list(one.type) else pa.string() for one in block.schema]
            arrays = [column.cast(kind) for column, kind in zip(block.columns, kinds, strict=True)]
            yield pa.record_batch(arrays, names=block.schema.names)


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _refuse_absent(batch: pa.RecordBatch, columns: list[str], path: Path) -> None:
    for name in columns:
        if pc.any(pc.equal(pc.fill_null(batch[name], ""), "")).as_py():
            raise LogError(f"{path}: a row has nothing in the column {name}")


def parts_of(values: pa.Array, separator: str) -> tuple[pa.Array, NDArray[np.int64]]:
    """All parts of all strings, and how many each has; an empty string has none."""
    lists = values if pa.types.is_list(values.type) else pc.split_pattern(pc.fill_null(values, ""), separator)
    parts = pc.fill_null(lists.flatten(), "")
    kept = pc.not_equal(parts, "")
    ends = np.concatenate([[0], np.cumsum(kept.to_numpy(zero_copy_only=False))])
    offsets = lists.offsets.to_numpy() - lists.offsets[0].as_py()
    return parts.filter(kept), np.diff(ends[offsets])


def labels_of(values: pa.Array, where: str) -> NDArray[np.float32]:
    """(n,) numbers in [0, 1].

    Raises:
        LogError: if one is none.
    """
    try:
        labels = values.cast(pa.float32()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid as error:
        raise LogError(f"{where}: a label is no number: {error}") from error
    if not ((labels >= 0) & (labels <= 1)).all():
        raise LogError(f"{where}: a label is not between 0 and 1")
    return labels
