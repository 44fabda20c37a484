"""Writes prepared samples piece by piece, so that they need not fit into memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rapport_edge.atomic import write_synced
from rapport_training.interest.batch import UNKNOWN, Field
from rapport_training.interest.data.array_file import ArrayFile, map_array
from rapport_training.interest.data.prepared import COLUMNS, RECORD, SPLITS, PreparedRecord, Split

#: Samples that are looked at together when whole columns are gone through.
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Catalogue:
    """Items, or users, of prepared samples.

    Attributes:
        ids: by index, "" for 0 and 1.
        fields: of `values`, the id itself first.
        values: (rows, all columns of fields) int32.
    """

    ids: Sequence[str]
    fields: Sequence[Field]
    values: NDArray[np.int32]


@dataclass(frozen=True)
class About:
    """What prepared.json says besides counts of samples; see `PreparedRecord`."""

    name: str
    protocol: str
    digest: str
    counts: dict[str, int] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Seen:
    """What the training split has, by index.

    Attributes:
        targets: items that are targets.
        items: items that are targets or in a history.
        users: users.
    """

    targets: NDArray[np.bool_]
    items: NDArray[np.bool_]
    users: NDArray[np.bool_]


class PreparedWriter:
    """A context manager around the files of a folder of prepared samples.

    Args:
        folder: an empty folder.
        timed: whether the log has times.
    """

    def __init__(self, folder: Path, *, timed: bool) -> None:
        self._folder = folder
        self._timed = timed
        self._sequence = ArrayFile(folder / "sequence.npy", np.int32)
        self._sequence_time = ArrayFile(folder / "sequence_time.npy", np.int64) if timed else None
        self._columns: dict[Split, dict[str, ArrayFile]] = {}
        for split in SPLITS:
            place = folder / "samples" / split
            place.mkdir(parents=True)
            self._columns[split] = {name: ArrayFile(place / f"{name}.npy", COLUMNS[name]) for name in COLUMNS}

    def __enter__(self) -> PreparedWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if kind is not None:
            for file in self._files():
                file.__exit__(kind, error, trace)

    @property
    def sequence_length(self) -> int:
        """Behaviours so far: where the next one will stand."""
        return self._sequence.rows

    def add_sequence(self, items: NDArray[np.integer], times: NDArray[np.int64] | None = None) -> None:
        """Adds behaviours: (n,) item indexes and, where the log has times, (n,) Unix seconds."""
        self._sequence.append(items)
        if self._sequence_time is not None:
            assert times is not None
            self._sequence_time.append(times)

    def add(self, split: Split, columns: Mapping[str, NDArray[Any]]) -> None:
        """Adds samples: all columns of `Samples` but cold, which only the end can tell."""
        for name, values in columns.items():
            self._columns[split][name].append(values)

    @property
    def rows(self) -> dict[Split, int]:
        """Samples so far."""
        return {split: files["item"].rows for split, files in self._columns.items()}

    def close_samples(self, items: int, users: int) -> Seen:
        """No samples come any more: tells what training has seen and writes which samples are cold.

        Args:
            items, users: how many indexes there are.
        """
        for file in self._files(but="cold"):
            file.close()
        self._seen = self._seen_in_training(items, users)
        self._write_cold()
        return self._seen

    def finish(self, items: Catalogue, users: Catalogue, created: NDArray[np.int64], about: About) -> PreparedRecord:
        """Writes the catalogues and the record, after `close_samples`.

        Args:
            items, users: their values; ids that the training split lacks become `UNKNOWN` in column 0.
            created: (items,) Unix seconds, -1 unknown.
            about: for the record.
        """
        self._write_catalogue("item", items, self._seen.items)
        self._write_catalogue("user", users, self._seen.users)
        np.save(self._folder / "item_created.npy", created)
        record = PreparedRecord(
            **vars(about),
            item_fields=[(field.name, field.vocabulary, field.columns) for field in items.fields],
            user_fields=[(field.name, field.vocabulary, field.columns) for field in users.fields],
            timed=self._timed,
            rows=self.rows,
        )
        write_synced(self._folder / RECORD, msgspec.json.format(msgspec.json.encode(record)) + b"\n")
        return record

    def _files(self, but: str = "") -> list[ArrayFile]:
        columns = [file for split in self._columns.values() for name, file in split.items() if name != but]
        return [self._sequence, *([self._sequence_time] if self._sequence_time else []), *columns]

    def _map(self, split: Split, column: str) -> NDArray[Any]:
        return map_array(self._folder / "samples" / split / f"{column}.npy")

    def _seen_in_training(self, items: int, users: int) -> Seen:
        targets, trained_users = np.zeros(items, np.bool_), np.zeros(users, np.bool_)
        columns = {name: self._map("train", name) for name in ("item", "user", "start", "end")}
        # On disk, because it is as long as the sequence. Written first: a full disk is an error then, where a mapping
        # of a file with holes would end the process.
        scratch = self._folder / "opened.npy"
        with ArrayFile(scratch, np.int32) as file:
            for first in range(0, self.sequence_length + 1, _CHUNK):
                file.append(np.zeros(min(_CHUNK, self.sequence_length + 1 - first)))
        opened = np.load(scratch, mmap_mode="r+")
        for first in range(0, len(columns["item"]), _CHUNK):
            part = {name: values[first : first + _CHUNK] for name, values in columns.items()}
            targets[part["item"]] = True
            trained_users[part["user"]] = True
            np.add.at(opened, part["start"], 1)
            np.add.at(opened, part["end"], -1)
        seen = targets | self._in_brackets(opened, items)
        del opened
        scratch.unlink()
        return Seen(targets, seen, trained_users)

    def _in_brackets(self, opened: NDArray[np.int32], items: int) -> NDArray[np.bool_]:
        """Items of the sequence at places where more histories have begun than ended."""
        sequence = map_array(self._folder / "sequence.npy")
        seen, depth = np.zeros(items, np.bool_), 0
        for first in range(0, len(sequence), _CHUNK):
            depths = depth + np.cumsum(opened[first : min(first + _CHUNK, len(sequence))], dtype=np.int64)
            seen[sequence[first : first + _CHUNK][depths > 0]] = True
            depth = int(depths[-1])
        return seen

    def _write_cold(self) -> None:
        for split, files in self._columns.items():
            item = self._map(split, "item")
            for first in range(0, len(item), _CHUNK):
                files["cold"].append(~self._seen.targets[item[first : first + _CHUNK]])
            files["cold"].close()

    def _write_catalogue(self, kind: str, catalogue: Catalogue, trained: NDArray[np.bool_]) -> None:
        values = np.array(catalogue.values, np.int32)
        values[2:, 0] = np.where(trained[2:], values[2:, 0], UNKNOWN)
        np.save(self._folder / f"{kind}_values.npy", values)
        pq.write_table(pa.table({"id": pa.array(catalogue.ids, pa.string())}), self._folder / f"{kind}s.parquet")
