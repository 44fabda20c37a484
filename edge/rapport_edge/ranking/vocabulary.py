"""Values of categorical fields to the indexes that training gave them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

#: Index of nothing: the padding of histories, an absent value.
PADDING: Final = 0
#: Index of a value that training did not have.
UNKNOWN: Final = 1
#: Indexes from here on are the vocabulary's own.
FIRST: Final = 2


class FieldVocabulary:
    """One field: what its values are called in a model.

    Args:
        name: of the field.
        columns: how many values one row has.
        values: those that training knew; position i has index i + 2.
    """

    def __init__(self, name: str, columns: int, values: Sequence[str]) -> None:
        self.name, self.columns = name, columns
        self._index = {value: FIRST + position for position, value in enumerate(values)}

    def __contains__(self, value: str) -> bool:
        return value in self._index

    def row(self, values: Iterable[str]) -> list[int]:
        """The indexes of one row: at most `columns`, then zeros; further values are left out, as in training."""
        found = [self._index.get(value, UNKNOWN) for value in values][: self.columns]
        return found + [PADDING] * (self.columns - len(found))


def row_of(fields: Sequence[FieldVocabulary], values: Mapping[str, Sequence[str]]) -> list[int]:
    """The indexes of values by field: as many as all fields have columns."""
    return [index for field in fields for index in field.row(values.get(field.name, ()))]
