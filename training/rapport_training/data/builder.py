"""Writes a data set: splits that share no picture, landmarks, a description and a card."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

import msgspec
from tqdm import tqdm

from rapport_edge.atomic import replace_folder, scratch_beside
from rapport_edge.errors import SettingsError
from rapport_edge.evaluation import DataSetError
from rapport_training.data.about import About
from rapport_training.data.card import write_card
from rapport_training.data.landmarks import DETECTOR, Found, find_landmarks
from rapport_training.data.rows import Labels, SourceRow
from rapport_training.data.schema import DESCRIPTION, FORMAT, SPLITS
from rapport_training.data.split_writer import SplitWriter
from rapport_training.data.summary import Summary


def build(
    about: About, rows: Iterable[SourceRow], out: Path, *, processes: int, total: int | None = None, overwrite: bool
) -> Summary:
    """Writes the data set's folder, whole or not at all.

    Rows are taken one by one, so that the pictures of a large source are never in memory together.

    Args:
        about: goes into the description and the card.
        rows: in any order; of equal pictures the first is kept, whatever its split.
        out: the folder.
        processes: that decode and detect at the same time.
        total: number of rows, for the progress bar.
        overwrite: replace a data set that is there.

    Raises:
        SettingsError: if `out` is in the way.
        DataSetError: if a split stays empty or the folder cannot be written.
    """
    with _new_folder(out, overwrite=overwrite) as folder:
        summary = _write_splits(rows, folder, processes, total)
        _refuse_empty_splits(summary)
        _describe(about, summary, folder)
        write_card(about, summary, folder)
    summary.warn()
    return summary


def check_target(out: Path, *, overwrite: bool) -> None:
    """Before long work: whether `build` may write there.

    Raises:
        SettingsError: if something else than a data set is there, or one that is not to be replaced.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / DESCRIPTION).is_file():
        raise SettingsError(f"{out} is there and is not a data set; choose another folder for --out")
    if not overwrite:
        raise SettingsError(f"there is a data set in {out}; --overwrite replaces it")


def _refuse_empty_splits(summary: Summary) -> None:
    empty = [name for name, split in summary.splits.items() if split.rows == 0]
    if empty:
        usable = sum(split.rows for split in summary.splits.values())
        raise DataSetError(
            f"the split {', '.join(empty)} is empty; there are {usable} usable pictures in all, {summary.duplicates} "
            f"duplicates, {len(summary.missing)} missing and {len(summary.unreadable)} unreadable; give more faces or "
            "other splits"
        )


def distinct(rows: Iterable[SourceRow], summary: Summary) -> Iterator[SourceRow]:
    """The rows with a picture that has not come before; what is left out is counted in `summary`."""
    first: dict[str, tuple[str, Labels]] = {}
    for row in rows:
        if row.image is None:
            summary.leave_out(row.file, row.problem)
        elif row.content in first:
            split, labels = first[row.content]
            summary.duplicates += 1
            summary.duplicates_across_splits += split != row.split
            summary.duplicates_relabelled += labels != row.labels
        else:
            first[row.content] = (row.split, row.labels)
            yield row


def _write_splits(rows: Iterable[SourceRow], folder: Path, processes: int, total: int | None) -> Summary:
    summary = Summary()
    with ExitStack() as stack:
        writers = {name: stack.enter_context(SplitWriter(folder / f"{name}.parquet")) for name in SPLITS}
        taken = stack.enter_context(tqdm(rows, total=total, unit="face"))
        for row, found in find_landmarks(distinct(taken, summary), processes):
            _write(row, found, writers[row.split], summary)
    return summary


def _write(row: SourceRow, found: Found, writer: SplitWriter, summary: Summary) -> None:
    if found.problem:
        summary.leave_out(row.file, found.problem)
        return
    writer.write(row, found.landmarks)
    summary.splits[row.split].add(row, detected=found.landmarks is not None)


def _describe(about: About, summary: Summary, folder: Path) -> None:
    described = {"format": FORMAT, **asdict(about), "detector": msgspec.to_builtins(DETECTOR), **summary.as_json()}
    del described["sections"]  # prose is for the card
    (folder / DESCRIPTION).write_text(json.dumps(described, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


@contextmanager
def _new_folder(out: Path, *, overwrite: bool) -> Iterator[Path]:
    """A folder that takes its name when all of it is written."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with scratch_beside(out) as scratch:
            check_target(out, overwrite=overwrite)
            folder = scratch / out.name
            folder.mkdir()
            yield folder
            check_target(out, overwrite=overwrite)  # what came to lie there meanwhile
            replace_folder(folder, out)
    except OSError as error:
        raise DataSetError(f"cannot write the data set {out}: {error}") from error
