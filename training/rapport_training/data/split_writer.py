"""Streams rows into one split's Parquet file."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rapport_edge.faces import FloatArray
from rapport_training.data.rows import SourceRow
from rapport_training.data.schema import SCHEMA

#: A row group is written when it has so many rows or bytes: large enough to read fast, small enough for any memory.
_GROUP_ROWS, _GROUP_BYTES = 1000, 64 << 20
#: Pictures are compressed already.
_COMPRESSION = {name: "none" if name == "image" else "zstd" for name in SCHEMA.names}
_COMPRESSION["landmarks.list.element"] = _COMPRESSION.pop("landmarks")


class SplitWriter:
    """A context manager; what was written is whole when it is left without an error."""

    def __init__(self, path: Path) -> None:
        self._file = pq.ParquetWriter(
            path,
            SCHEMA,
            compression=_COMPRESSION,
            use_dictionary=["caption", "age", "gender", "race"],
            write_statistics=False,  # they would repeat whole pictures as least and greatest values
            write_page_checksum=True,  # a flipped bit in a picture would train silently
        )
        self._rows: list[dict[str, Any]] = []
        self._bytes = 0

    def __enter__(self) -> SplitWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._rows:
                self._flush()
        finally:
            self._file.close()

    def write(self, row: SourceRow, landmarks: FloatArray | None) -> None:
        """Adds a row.

        Args:
            row: with its picture.
            landmarks: (5, 2) pixels of the picture, or None.
        """
        assert row.image is not None
        cells = {name: getattr(row, name) for name in SCHEMA.names if name != "landmarks"}
        self._rows.append(cells | {"landmarks": None if landmarks is None else landmarks.ravel().tolist()})
        self._bytes += len(row.image)
        if len(self._rows) >= _GROUP_ROWS or self._bytes >= _GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        self._file.write_batch(pa.RecordBatch.from_pylist(self._rows, schema=SCHEMA))
        self._rows, self._bytes = [], 0
