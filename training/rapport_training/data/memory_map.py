"""A Parquet file of a data set as a memory-mapped table.

A row of a Parquet file cannot be reached without decoding its row group, and a loader asks for rows in random order. So
the file is written once more in Arrow's own layout, which is read through the page cache that all workers share.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from rapport_edge.atomic import scratch_beside
from rapport_edge.evaluation import DataSetError
from rapport_training.data.schema import LABELS, SCHEMA

_BATCH = 256
_KEY, _DIGEST = b"rapport_source", b"rapport_digest"


def map_parquet(path: Path) -> tuple[pa.Table, str]:
    """Every row of a split, memory-mapped, and the digest of its rows (see `UserFaces.digest`).

    The mapped file lies beside the Parquet file, or in the user's cache folder where that cannot be written to.

    Raises:
        DataSetError: if the file is absent, damaged, empty or lacks a column, or the mapped file cannot be written.
    """
    if not path.is_file():
        raise DataSetError(f"there is no file {path}")
    target = _mapped_file(path)
    table = _open_if_current(target, path)
    if table is None:
        _convert(path, target)
        table = _open_if_current(target, path)
    if table is None:
        raise DataSetError(f"{path} was changed while it was read; try again")
    if table.num_rows == 0:
        raise DataSetError(f"{path} has no rows")
    return table, table.schema.metadata[_DIGEST].decode()


def cache_folder() -> Path:
    """Where Rapport keeps what it can make again (XDG base directory specification)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rapport"


def _mapped_file(path: Path) -> Path:
    if os.access(path.parent, os.W_OK):
        return path.with_suffix(".arrow")
    place = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    return cache_folder() / "faces" / f"{place}-{path.stem}.arrow"


def _key(path: Path) -> bytes:
    status = path.stat()
    return json.dumps({"format": 1, "size": status.st_size, "modified": status.st_mtime_ns}).encode()


def _open_if_current(target: Path, source: Path) -> pa.Table | None:
    """The mapped table, or None if there is none or the Parquet file is another by now."""
    try:
        table = pa.ipc.open_file(pa.memory_map(str(target))).read_all()
    except (OSError, pa.ArrowException):
        return None
    return table if (table.schema.metadata or {}).get(_KEY) == _key(source) else None


def _convert(source: Path, target: Path) -> None:
    key = _key(source)
    with _arrow_errors(source):
        file = pq.ParquetFile(source, page_checksum_verification=True)
        missing = [name for name in SCHEMA.names if name not in file.schema_arrow.names]
        if missing:
            raise DataSetError(f"{source} has no column {', '.join(missing)}")
        digest = _digest(file)
    schema = SCHEMA.with_metadata({_KEY: key, _DIGEST: digest.encode()})
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with scratch_beside(target) as scratch:
            written = scratch / target.name
            with pa.OSFile(str(written), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
                for batch in _batches(source, file):
                    writer.write_batch(batch.replace_schema_metadata(schema.metadata))
            written.replace(target)
    except OSError as error:
        raise DataSetError(f"cannot write {target}, through which {source} is read: {error}") from error


def _batches(source: Path, file: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
    with _arrow_errors(source):
        for batch in file.iter_batches(_BATCH, columns=SCHEMA.names):
            yield batch.select(SCHEMA.names).cast(SCHEMA)


def _digest(file: pq.ParquetFile) -> str:
    """Over everything of a row that a training sees; the picture itself by its hash."""
    total = hashlib.sha256()
    for batch in file.iter_batches(_BATCH, columns=["content", "caption", *LABELS, "landmarks"]):
        for row in batch.to_pylist():
            seen = [row["content"], row["caption"], *(row[name] for name in LABELS), row["landmarks"]]
            total.update(json.dumps(seen).encode() + b"\n")
    return total.hexdigest()


@contextmanager
def _arrow_errors(source: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DataSetError(f"{source} is not a data set's Parquet file, or is damaged: {error}") from error
