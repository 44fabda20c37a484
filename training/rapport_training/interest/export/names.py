"""What the indexes of a prepared log are called in the world: values of fields, and titles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rapport_edge.errors import SettingsError
from rapport_training.interest.batch import FIRST, Field


@dataclass(frozen=True)
class Named:
    """Items, or users, in words.

    Attributes:
        vocabularies: by field but the first, its values from index `FIRST` on.
        rows: for each index from `FIRST` on, values by field but the first; also those that training did not know.
        titles: for each index from `FIRST` on; "" where there is none.
    """

    vocabularies: Mapping[str, list[str]]
    rows: Sequence[Mapping[str, tuple[str, ...]]]
    titles: Sequence[str]


def named(fields: Sequence[Field], values: NDArray[np.int32], ids: Sequence[str], table: pa.Table | None) -> Named:
    """Names for what `PreparedLog` holds as numbers.

    Args:
        fields: the first is the id.
        values: (rows, columns of fields).
        ids: by index.
        table: the log's items or users, whose row r has index r + 2; None where there is no log: then a value is called
            by its index.

    Raises:
        SettingsError: if the log's ids or values are not those of the prepared samples.
    """
    if table is None:
        return _numbered(fields, values)
    if table["id"].to_pylist() != list(ids[FIRST:]):
        raise SettingsError("the log is not the one that the samples were prepared from: its ids differ")
    words = _words(table, len(ids) - FIRST)
    vocabularies: dict[str, list[str]] = {}
    column = fields[0].columns
    for field in fields[1:]:
        block = values[FIRST:, column : column + field.columns]
        vocabularies[field.name] = _vocabulary(field, block, [row.get(field.name, ()) for row in words])
        column += field.columns
    titles = (
        [title or "" for title in table["title"].to_pylist()] if "title" in table.column_names else [""] * len(words)
    )
    known = set(vocabularies)
    # What is empty only keeps its place in a row of indexes.
    rows = [{n: tuple(filter(None, v)) for n, v in row.items() if n in known} for row in words]
    return Named(vocabularies, rows, titles)


def _words(table: pa.Table, count: int) -> list[dict[str, tuple[str, ...]]]:
    rows: list[dict[str, tuple[str, ...]]] = [{} for _ in range(count)]
    if "category" in table.column_names:
        for row, category in zip(rows, table["category"].to_pylist(), strict=True):
            if category:
                row["category"] = (category,)
    for row, attributes in zip(rows, table["attributes"].to_pylist(), strict=True):
        row.update(
            {name: tuple(value or "" for value in values) for name, values in attributes or () if any(values or ())}
        )
    return rows


def _vocabulary(field: Field, block: NDArray[np.int32], words: Sequence[tuple[str, ...]]) -> list[str]:
    """Inverts what `data.catalogue` did: an index is called as all values that have it."""
    called: dict[int, str] = {}
    for row, values in zip(block.tolist(), words, strict=True):
        for index, value in zip(row, values, strict=False):
            if index >= FIRST and called.setdefault(index, value) != value:
                raise SettingsError(
                    f"the log is not the one that the samples were prepared from: {field.name} {called[index]!r} of "
                    f"one is {value!r} of the other"
                )
    return [called.get(index, "") for index in range(FIRST, field.vocabulary)]


def _numbered(fields: Sequence[Field], values: NDArray[np.int32]) -> Named:
    vocabularies = {f.name: [str(index) for index in range(FIRST, f.vocabulary)] for f in fields[1:]}
    rows: list[dict[str, tuple[str, ...]]] = [{} for _ in range(len(values) - FIRST)]
    column = fields[0].columns
    for field in fields[1:]:
        for row, given in zip(rows, values[FIRST:, column : column + field.columns].tolist(), strict=True):
            if any(given):
                row[field.name] = tuple(str(index) for index in given if index)
        column += field.columns
    return Named(vocabularies, rows, [""] * len(rows))
