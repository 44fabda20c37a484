"""Labelled faces in a Parquet file: columns image, age, gender and, if there is one, race."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rapport_edge.errors import RapportError
from rapport_edge.labels import LabelError, is_damaged_age, parse_age, parse_gender, parse_race

if TYPE_CHECKING:
    import pyarrow as pa

_log = logging.getLogger(__name__)
_REQUIRED = ("image", "age", "gender")
_T = TypeVar("_T")


class DataSetError(RapportError):
    """A file of labelled faces that cannot be used."""


class LabelledFaces:
    """The labels of a Parquet file, read and checked at once, and its images, read in batches.

    Labels are FairFace's names, or the integers of a Hugging Face ClassLabel column, whose names the file carries.
    Bare integers are refused, because the order of the labels differs between publications.

    Args:
        path: the Parquet file.
        limit: read only the first faces.

    Attributes:
        ages, genders: names from `rapport_edge.labels`, one per face.
        races: the same, or None if the file has no such column.

    Raises:
        DataSetError: if pyarrow is not installed, or the file is missing, is not Parquet, is damaged, lacks a column or
            has it twice, is empty or has a label (with its row, counted from 0) that nobody knows.
    """

    def __init__(self, path: Path, limit: int | None = None) -> None:
        self._file = _open(path)
        self._path = path
        columns = self._file.schema_arrow.names
        missing = [name for name in _REQUIRED if name not in columns]
        if missing:
            raise DataSetError(f"{path} has no column {', '.join(missing)}; it has {', '.join(columns)}")
        repeated = sorted({name for name in columns if columns.count(name) > 1})
        if repeated:
            raise DataSetError(f"{path} has more than one column {', '.join(repeated)}")
        labels = [name for name in ("age", "gender", "race") if name in columns]
        table = self._read(labels).slice(0, limit)
        if table.num_rows == 0:
            raise DataSetError(f"{path} has no rows")
        self._count: int = table.num_rows
        ages = self._names(table, "age")
        self._warn_of_damage(ages)
        self.ages = self._parsed(ages, parse_age)
        self.genders = self._parsed(self._names(table, "gender"), parse_gender)
        self.races = self._parsed(self._names(table, "race"), parse_race) if "race" in labels else None

    def __len__(self) -> int:
        return self._count

    def images(self, batch_size: int = 64) -> Iterator[list[bytes | None]]:
        """The encoded images in batches, in the order of the labels; None where a row has none.

        Raises:
            DataSetError: if the column holds neither bytes nor {"bytes": ...}, or the file is damaged.
        """
        import pyarrow as pa

        left = self._count
        try:
            for batch in self._file.iter_batches(batch_size=batch_size, columns=["image"]):
                rows = batch.column(0).to_pylist()[:left]
                left -= len(rows)
                yield [self._bytes_of(row) for row in rows]
                if left == 0:
                    return
        except (pa.ArrowException, OSError) as error:
            raise DataSetError(f"{self._path} is damaged: {error}") from error

    def _read(self, columns: Sequence[str]) -> pa.Table:
        import pyarrow as pa

        try:
            return self._file.read(columns=columns)
        except (pa.ArrowException, OSError) as error:
            raise DataSetError(f"{self._path} is damaged: {error}") from error

    def _bytes_of(self, cell: Any) -> bytes | None:
        content = cell.get("bytes") if isinstance(cell, dict) else cell
        if content is None or isinstance(content, bytes):
            return content
        raise DataSetError(f'{self._path}: column image holds {type(content).__name__}, not bytes or {{"bytes": ...}}')

    def _names(self, table: pa.Table, column: str) -> list[str]:
        values = table.column(column).to_pylist()
        names = _class_label_names(self._file.schema_arrow, column)
        return [self._name(value, names, column, row) for row, value in enumerate(values)]

    def _name(self, value: Any, names: Sequence[str], column: str, row: int) -> str:
        if isinstance(value, str):
            return value
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(names):
            return names[value]
        raise DataSetError(
            f"{self._path}, row {row} (counted from 0): {column} is {value!r}, not a name; bare integers are refused, "
            "because their order differs between publications"
        )

    def _parsed(self, names: Sequence[str], parse: Callable[[str], _T]) -> list[_T]:
        parsed = []
        for row, name in enumerate(names):
            try:
                parsed.append(parse(name))
            except LabelError as error:
                raise DataSetError(f"{self._path}, row {row} (counted from 0): {error}") from error
        return parsed

    def _warn_of_damage(self, ages: Sequence[str]) -> None:
        damaged = sum(map(is_damaged_age, ages))
        if damaged:
            _log.warning(
                "%s: %d ages were turned into dates by a spreadsheet (such as 03-Sep for 3-9); they are read as meant",
                self._path,
                damaged,
            )


def _open(path: Path) -> Any:
    """A pyarrow.parquet.ParquetFile."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise DataSetError(
            "reading Parquet files needs pyarrow, which a robot does not: pip install 'rapport-edge[evaluate]'"
        ) from error
    try:
        return pq.ParquetFile(path)
    except FileNotFoundError as error:
        raise DataSetError(f"there is no file {path}") from error
    except (pa.ArrowException, OSError) as error:
        raise DataSetError(f"{path} is not a Parquet file that can be read: {error}") from error


def _class_label_names(schema: pa.Schema, column: str) -> list[str]:
    """Names of a ClassLabel column as Hugging Face's `datasets` writes them into the schema, else nothing."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return [str(name) for name in features[column]["names"]]
    except (KeyError, TypeError, ValueError):
        return []
