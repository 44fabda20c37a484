"""FuxiCTR's sequence layout, taken as it is: every row carries its own history, every file is a split.

label,user_id,item_id,cate_id,item_history,cate_history with ids joined by ^, oldest first; AmazonElectronics_x1 looks
like this.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rapport_edge.errors import SettingsError
from rapport_training.interest.batch import UNKNOWN, Field
from rapport_training.interest.data.errors import LogError
from rapport_training.interest.data.fuxictr_files import FuxiCtrColumns, blocks, labels_of, parts_of
from rapport_training.interest.data.new_folder import new_folder
from rapport_training.interest.data.prepared import NAMES, PreparedLog, Split
from rapport_training.interest.data.prepared_writer import About, Catalogue, PreparedWriter
from rapport_training.interest.data.vocabulary import Vocabulary


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
        for batch in blocks(path, self.columns):
            self._add(batch, split, writer, f"{path}, line {row} and following")
            row += len(batch)

    def _add(self, batch: pa.RecordBatch, split: Split, writer: PreparedWriter, where: str) -> None:
        names = self.columns
        values, lengths = parts_of(batch[names.history], names.separator)
        items, history = self.items.add(batch[names.item]), self.items.add(values)
        if names.category:
            categories, _ = self._history_categories(batch, lengths, where)
            self._learn(items, self.categories.add(pc.fill_null(batch[names.category], "")))
            self._learn(history, categories)
        end = writer.sequence_length + np.cumsum(lengths)
        writer.add_sequence(history)
        writer.add(
            split,
            {
                "user": self.users.add(batch[names.user]),
                "item": items,
                "label": labels_of(batch[names.label], where),
                "time": np.full(len(batch), -1),
                "start": end - lengths,
                "end": end,
            },
        )

    def _history_categories(
        self, batch: pa.RecordBatch, lengths: NDArray[np.int64], where: str
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        values, found = parts_of(batch[self.columns.category_history], self.columns.separator)
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
        SettingsError: if something is in the way, or a column is named without its other half.
    """
    columns = columns or FuxiCtrColumns()
    if columns.category and not columns.category_history:
        raise SettingsError("--column category_history=: without it say category=, too, or keep both")
    with new_folder(out, NAMES, overwrite=overwrite) as folder, PreparedWriter(folder, timed=False) as writer:
        reader = _Reader(columns)
        reader.read(train, "train", writer)
        trained_categories = len(reader.categories)
        reader.read(validation or test, "validation", writer)
        reader.read(test, "test", writer)
        empty = [split for split, rows in writer.rows.items() if not rows]
        if empty:
            raise LogError(f"the file for {', '.join(empty)} has no rows")
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


def _digest(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
