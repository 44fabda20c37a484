"""Sorts events that need not fit into memory: sorted runs on disk, then a merge by ranges of the key.

A range is cut so that about `MERGED_ROWS` rows fall into it; equal keys are never parted, so that duplicates meet.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

#: Columns that the sort adds: what it sorts by, and the row of the source, which keeps equal keys in their order.
KEY: Final = "sort_key"
ROW: Final = "source_row"

#: What is sorted in memory at a time, by default.
MEMORY_BYTES: Final = 256 << 20
MERGED_ROWS: Final = 500_000
_BATCH_ROWS: Final = 16_384


class EventSort:
    """Takes tables in any order and gives them back sorted.

    Args:
        folder: for the runs; its files are removed when the merge is done.
        memory_bytes: a run is written when the tables taken have so many bytes.
        merged_rows: about how many rows the merge gives at a time.
    """

    def __init__(self, folder: Path, memory_bytes: int = MEMORY_BYTES, merged_rows: int = MERGED_ROWS) -> None:
        self._folder = folder
        self._memory_bytes = memory_bytes
        self._merged_rows = merged_rows
        self._taken: list[pa.Table] = []
        self._bytes = 0
        self._runs: list[Path] = []
        self.rows = 0
        self._all_bytes = 0

    @property
    def runs(self) -> int:
        """Runs written so far."""
        return len(self._runs)

    def add(self, table: pa.Table, key: pa.Array | pa.ChunkedArray) -> None:
        """Takes rows; `key` (n,) int64 without nulls is what they are sorted by."""
        numbers = pa.array(np.arange(self.rows, self.rows + len(table)))
        table = table.append_column(KEY, key).append_column(ROW, numbers)
        self.rows += len(table)
        self._taken.append(table)
        self._bytes += table.nbytes
        self._all_bytes += table.nbytes
        if self._bytes >= self._memory_bytes:
            self._write_run()

    def merged(self) -> Iterator[pa.Table]:
        """All rows by key, equal keys in the order in which they came; no key is in two tables."""
        if not self._runs:
            if self.rows:
                yield from self._merge([_sorted(pa.concat_tables(self._taken))])
            return
        if self._taken:
            self._write_run()
        with _Mapped(self._runs) as runs:
            yield from self._merge(runs)
        for path in self._runs:
            path.unlink()

    def _write_run(self) -> None:
        run = _sorted(pa.concat_tables(self._taken))
        self._taken, self._bytes = [], 0
        path = self._folder / f"run-{len(self._runs)}.arrow"
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, run.schema) as file:
            file.write_table(run, max_chunksize=_BATCH_ROWS)
        self._runs.append(path)

    def _merge(self, runs: list[pa.Table]) -> Iterator[pa.Table]:
        keys = [run[KEY].to_numpy() for run in runs]
        # Pictures of queries make rows long.
        fitting = self._memory_bytes * self.rows // max(1, self._all_bytes)
        cuts = _cuts(keys, max(1, min(self._merged_rows, fitting)))
        places = [np.concatenate([[0], np.searchsorted(of_run, cuts), [len(of_run)]]) for of_run in keys]
        del keys
        for part in range(len(cuts) + 1):
            slices = [
                run.slice(place[part], place[part + 1] - place[part])
                for run, place in zip(runs, places, strict=True)
                if place[part + 1] > place[part]
            ]
            if slices:
                yield _sorted(pa.concat_tables(slices))


class _Mapped:
    """Runs as memory-mapped tables."""

    def __init__(self, paths: list[Path]) -> None:
        self._maps = [pa.memory_map(str(path)) for path in paths]

    def __enter__(self) -> list[pa.Table]:
        return [pa.ipc.open_file(mapped).read_all() for mapped in self._maps]

    def __exit__(self, *error: object) -> None:
        for mapped in self._maps:
            mapped.close()


def _sorted(table: pa.Table) -> pa.Table:
    return table.take(pc.sort_indices(table, sort_keys=[(KEY, "ascending"), (ROW, "ascending")]))


def _cuts(keys: list[NDArray[np.int64]], rows: int) -> NDArray[np.int64]:
    """Keys at which a new range begins: every `rows`-th of all, estimated from regular samples of the sorted runs."""
    step = max(1, rows // (8 * len(keys)))
    sampled = np.sort(np.concatenate([of_run[::step] for of_run in keys]))
    return np.unique(sampled[max(1, rows // step) :: max(1, rows // step)])
