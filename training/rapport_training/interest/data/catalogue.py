"""Categories and attributes as fields. What no trained row has is `UNKNOWN`: its embedding would never be trained."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rapport_training.interest.batch import FIRST, PADDING, UNKNOWN, Field
from rapport_training.interest.data.errors import LogError
from rapport_training.interest.data.prepared_writer import Catalogue
from rapport_training.interest.data.vocabulary import Vocabulary

#: More values of one attribute than this are left out: they would make every row as long as the longest.
MAX_VALUES: Final = 16


def catalogue(kind: str, table: pa.Table, trained: NDArray[np.bool_]) -> Catalogue:
    """Fields and values of items or users.

    Args:
        kind: "item" or "user", the first field's name.
        table: id, attributes and, of items, category; row r has index r + 2.
        trained: (rows + 2,) by index: whether the training split has it. Only such rows make vocabularies.

    Raises:
        LogError: if an attribute has no name, or that of another field.
    """
    count = len(table) + FIRST
    fields, blocks = [Field(kind, count)], [np.arange(count, dtype=np.int32)[:, None]]
    if "category" in table.column_names:
        category = table["category"].combine_chunks()
        _add(
            fields,
            blocks,
            "category",
            _Values(np.arange(len(table)), np.zeros(len(table), np.int64), category),
            trained,
        )
    for name, values in _attributes(table["attributes"].combine_chunks()).items():
        if not name or name in {field.name for field in fields}:
            raise LogError(f"an attribute of the {kind}s is called {name!r}, which means something else: rename it")
        _add(fields, blocks, name, values, trained)
    return Catalogue(["", "", *table["id"].to_pylist()], fields, np.concatenate(blocks, axis=1))


class _Values:
    """Values of one attribute: the row that each belongs to, its place among the row's values, and itself."""

    def __init__(self, row: NDArray[np.int64], slot: NDArray[np.int64], value: pa.Array) -> None:
        self.row, self.slot, self.value = row, slot, value


def _add(
    fields: list[Field], blocks: list[NDArray[np.int32]], name: str, values: _Values, trained: NDArray[np.bool_]
) -> None:
    given = pc.not_equal(pc.fill_null(values.value, ""), "").to_numpy(zero_copy_only=False) & (values.slot < MAX_VALUES)
    row, slot, value = values.row[given], values.slot[given], values.value.filter(pa.array(given))
    vocabulary = Vocabulary(pc.unique(value.filter(pa.array(trained[row + FIRST]))).to_pylist())
    columns = int(slot.max(initial=0)) + 1
    block = np.full((len(trained), columns), PADDING, np.int32)
    block[UNKNOWN, 0] = UNKNOWN
    block[row + FIRST, slot] = vocabulary.find(value)
    fields.append(Field(name, len(vocabulary), columns))
    blocks.append(block)


def _attributes(maps: pa.MapArray) -> dict[str, _Values]:
    """Values by attribute, without a Python loop over rows."""
    entries_of_row = np.diff(maps.offsets.to_numpy())
    first = maps.offsets[0].as_py() if len(maps) else 0
    keys, lists = maps.keys[first : first + entries_of_row.sum()], maps.items[first : first + entries_of_row.sum()]
    row_of_entry = np.repeat(np.arange(len(entries_of_row)), entries_of_row)
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    entry_of_value = np.repeat(np.arange(len(lengths)), lengths)
    slot = np.arange(len(entry_of_value)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    values = lists.flatten()
    found = {}
    for name in pc.unique(keys).to_pylist():
        chosen = pc.equal(keys, name).to_numpy(zero_copy_only=False)[entry_of_value]
        found[name] = _Values(row_of_entry[entry_of_value[chosen]], slot[chosen], values.filter(pa.array(chosen)))
    return found
