"""Reading published text files, with errors that name the line."""

from __future__ import annotations

import csv
import gzip
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Final, TypeVar

import msgspec
import pyarrow as pa
import pyarrow.csv as pacsv

from rapport_training.interest.data.errors import LogError

#: Of a CSV file, read at a time.
BLOCK_BYTES: Final = 16 << 20
#: Items whose pictures are in memory together; a row group of items.
ITEMS: Final = 1000

_T = TypeVar("_T")


def need(folder: Path, *names: str) -> Path:
    """The first of some files that is there.

    Raises:
        LogError: if none is.
    """
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise LogError(f"{folder} lacks {' or '.join(names)}")


@contextmanager
def reading(source: object, expected: str = "") -> Iterator[None]:
    """Turns whatever the libraries say about a damaged file into a `LogError`.

    Args:
        source: the file, for the message.
        expected: what should be in it, for the message.
    """
    try:
        yield
    except (OSError, EOFError, UnicodeDecodeError, csv.Error, pa.ArrowException) as error:
        raise LogError(f"cannot read {source}: {error}{expected}") from error
    # An encrypted member of a zip file is a RuntimeError, a way of compression that Python lacks a NotImplementedError.
    except (zlib.error, zipfile.BadZipFile, RuntimeError) as error:
        raise LogError(f"cannot unpack {source}: {error}") from error


def csv_blocks(
    path: Path,
    types: dict[str, pa.DataType],
    *,
    delimiter: str = ",",
    header: bool = True,
    unpacked: IO[bytes] | None = None,
) -> Iterator[pa.RecordBatch]:
    """A CSV file in blocks that need not fit into memory together.

    Args:
        path: the file; compressed ones by their suffix.
        types: the wanted columns. Without a header: all columns of the file in order, by names of one's own.
        delimiter: one character.
        header: whether the first line names the columns.
        unpacked: what is read in place of the file, where it lies in an archive.

    Raises:
        LogError: if a column is missing or a value is not of its type, with the row.
    """
    # One thread: only then errors name the row.
    read = pacsv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False, column_names=None if header else list(types))
    convert = pacsv.ConvertOptions(column_types=types, include_columns=list(types), strings_can_be_null=False)
    parse = pacsv.ParseOptions(delimiter=delimiter, newlines_in_values=header)
    expected = ", ".join(f"{name} ({kind})" for name, kind in types.items())
    with (
        reading(path, f"; expected the columns {expected}"),
        pacsv.open_csv(unpacked or path, read, parse, convert) as blocks,
    ):
        yield from blocks


def split_lines(
    path: Path, delimiter: str, columns: Sequence[str], *, encoding: str = "latin-1", exactly: bool = True
) -> Iterator[list[str]]:
    """A small file's lines, split.

    Args:
        path: the file.
        delimiter: of any length.
        columns: what each line should have, in words.
        encoding: of the file.
        exactly: more parts than columns are an error, too.

    Raises:
        LogError: if a line has too few or too many parts, with its number.
    """
    with reading(path), path.open(encoding=encoding) as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            parts = line.rstrip("\r\n").split(delimiter)
            if len(parts) < len(columns) or (exactly and len(parts) > len(columns)):
                raise LogError(
                    f"{path}, line {number}: {len(parts)} values, expected {len(columns)} parted by {delimiter!r}: "
                    f"{', '.join(columns)}"
                )
            yield parts


def json_lines(path: Path, kind: type[_T]) -> Iterator[tuple[int, _T]]:
    """Numbers and objects of a file with one JSON object per line, .gz or not.

    Raises:
        LogError: if a line is no such object, with its number and what is wrong.
    """
    decoder = msgspec.json.Decoder(kind)
    with reading(path), gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield number, _decoded(decoder, line, f"{path}, line {number}")


def blocks(rows: Iterable[_T], size: int) -> Iterator[list[_T]]:
    """Rows in lists of `size`, the last of what is left."""
    remaining = iter(rows)
    while block := list(islice(remaining, size)):
        yield block


def _decoded(decoder: msgspec.json.Decoder[_T], line: bytes, where: str) -> _T:
    try:
        return decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise LogError(f"{where}: {error}") from error
