"""FuxiCTR's sequence layout, taken as it is: every row carries its own history, every file is a split.

label,user_id,item_id,cate_id,item_history,cate_history with ids joined by ^, oldest first; AmazonElectronics_x1 looks
like this.
"""

from __future__ import annotations

import hashlib
from collections import Counter
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
from rapport_training.interest.batch import UNKNOWN, Field
from rapport_training.interest.data.errors import LogError
from rapport_training.interest.data.new_folder import new_folder
from rapport_training.interest.data.prepared import RECORD, PreparedLog, Split
from rapport_training.interest.data.prepared_writer import About, Catalogue, PreparedWriter
from rapport_training.interest.data.vocabulary import Vocabulary

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
    return replace(FuxiCtrColumns(), **{name: value for name, _, value in pairs})


class _Reader:
    """Indexes of what the files hold, in the order of appearance."""

    def __init__(self, columns: FuxiCtrColumns) -> None:
        self.columns = columns
        self.items, self.users, self.categories = Vocabulary(), Vocabulary(), Vocabulary()
        self._category_of = np.zeros(0, np.int32)
        self.counts: Counter[str] = Counter()

    def read(self, path: Path, split: Split, writer: PreparedWriter) -> None:
        """One file."""
        row = 2
        for batch in _blocks(path, self.columns):
            self._add(batch, split, writer, f"{path}, line {row} and following")
            row += len(batch)

    def _add(self, batch: pa.RecordBatch, split: Split, writer: PreparedWriter, where: str) -> None:
        names = self.columns
        values, lengths = _split(batch[names.history], names.separator)
        items, history = self.items.add(batch[names.item]), self.items.add(values)
        if names.category:
            categories, _ = self._history_categories(batch, lengths, where)
            self._learn(items, self.categories.add(batch[names.category]))
            self._learn(history, categories)
        end = writer.sequence_length + np.cumsum(lengths)
        writer.add_sequence(history)
        writer.add(
            split,
            {
                "user": self.users.add(batch[names.user]),
                "item": items,
                "label": _labels(batch[names.label], where),
                "time": np.full(len(batch), -1),
                "start": end - lengths,
                "end": end,
            },
        )

    def _history_categories(
        self, batch: pa.RecordBatch, lengths: NDArray[np.int64], where: str
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        values, found = _split(batch[self.columns.category_history], self.columns.separator)
        if not np.array_equal(found, lengths):
            row = int(np.flatnonzero(found != lengths)[0])
            raise LogError(
                f"{where}: row {row} of them has {lengths[row]} items in {self.columns.history} and {found[row]} in "
                f"{self.columns.category_history}; both must be of one length"
            )
        return self.categories.add(values), found

    def _learn(self, items: NDArray[np.int32], categories: NDArray[np.int32]) -> None:
        """The first category that an item comes with is its category."""
        self._category_of = np.concatenate(
            [self._category_of, np.zeros(max(0, len(self.items) - len(self._category_of)), np.int32)]
        )
        distinct, first = np.unique(items, return_index=True)
        given, known = categories[first], self._category_of[distinct]
        self._category_of[distinct] = np.where(known == 0, given, known)
        others = int((self._category_of[items] != categories).sum())
        if others:
            self.counts["mentions of an item with another category than its first"] += others

    def item_catalogue(self, trained_categories: int) -> Catalogue:
        ids = self.items.values
        values = np.arange(len(ids), dtype=np.int32)[:, None]
        fields = [Field("item", len(ids))]
        if self.columns.category:
            category = np.where(self._category_of < trained_categories, self._category_of, UNKNOWN).astype(np.int32)
            category[:2] = 0, UNKNOWN
            values = np.column_stack([values, category])
            fields.append(Field("category", trained_categories))
        return Catalogue(ids, fields, values)

    def user_catalogue(self) -> Catalogue:
        ids = self.users.values
        return Catalogue(ids, [Field("user", len(ids))], np.arange(len(ids), dtype=np.int32)[:, None])


def prepare_fuxictr(
    train: Path,
    test: Path,
    validation: Path | None,
    out: Path,
    *,
    columns: FuxiCtrColumns | None = None,
    overwrite: bool = False,
) -> PreparedLog:
    """Prepared samples with the files' own histories and splits.

    Args:
        train, test: CSV files with a header.
        validation: None: the test file is the validation split, too, and the protocol says so.
        out: the folder.
        columns: what the files call things.
        overwrite: replace prepared samples that are there.

    Raises:
        LogError: if a file lacks a column or a value, with the line.
        SettingsError: if something is in the way.
    """
    with new_folder(out, RECORD, overwrite=overwrite) as folder, PreparedWriter(folder, timed=False) as writer:
        reader = _Reader(columns or FuxiCtrColumns())
        reader.read(train, "train", writer)
        trained_categories = len(reader.categories)
        reader.read(validation or test, "validation", writer)
        reader.read(test, "test", writer)
        _finish(writer, reader, trained_categories, _about(train, test, validation, reader.counts))
    return PreparedLog.open(out)


def _about(train: Path, test: Path, validation: Path | None, counts: dict[str, int]) -> About:
    split = "the files' train, validation and test" if validation else "the files' train and test, test validates"
    files = [train, test, *([validation] if validation else [])]
    return About(train.parent.name, f"as in the files: {split}", _digest(files), dict(counts))


def _finish(writer: PreparedWriter, reader: _Reader, trained_categories: int, about: About) -> None:
    items, users = reader.item_catalogue(trained_categories), reader.user_catalogue()
    writer.close_samples(len(items.ids), len(users.ids))
    writer.finish(items, users, np.full(len(items.ids), -1, np.int64), about)


def _blocks(path: Path, names: FuxiCtrColumns) -> Iterator[pa.RecordBatch]:
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
            kinds = [pa.list_(pa.string()) if pa.types.is_list(one.type) else pa.string() for one in block.schema]
            arrays = [column.cast(kind) for column, kind in zip(block.columns, kinds, strict=True)]
            yield pa.record_batch(arrays, names=block.schema.names)


def _refuse_absent(batch: pa.RecordBatch, columns: list[str], path: Path) -> None:
    for name in columns:
        if pc.any(pc.equal(pc.fill_null(batch[name], ""), "")).as_py():
            raise LogError(f"{path}: a row has nothing in the column {name}")


def _split(values: pa.Array, separator: str) -> tuple[pa.Array, NDArray[np.int64]]:
    """All parts of all strings, and how many each has; an empty string has none."""
    lists = values if pa.types.is_list(values.type) else pc.split_pattern(pc.fill_null(values, ""), separator)
    parts = lists.flatten()
    kept = pc.not_equal(parts, "")
    ends = np.concatenate([[0], np.cumsum(kept.to_numpy(zero_copy_only=False))])
    offsets = lists.offsets.to_numpy() - lists.offsets[0].as_py()
    return parts.filter(kept), np.diff(ends[offsets])


def _labels(values: pa.Array, where: str) -> NDArray[np.float32]:
    try:
        labels = values.cast(pa.float32()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid as error:
        raise LogError(f"{where}: a label is no number: {error}") from error
    if not ((labels >= 0) & (labels <= 1)).all():
        raise LogError(f"{where}: a label is not between 0 and 1")
    return labels


def _digest(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
