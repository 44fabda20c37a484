"""Items as a network takes them: the indexes of their values, those of the catalogue's items computed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rapport_edge.ranking.items import Item
from rapport_edge.ranking.vocabulary import FieldVocabulary, row_of


class ItemRows:
    """Indexes of items.

    Args:
        fields: of an item, the item itself first.
        catalogue: by id.
    """

    def __init__(self, fields: Sequence[FieldVocabulary], catalogue: Mapping[str, Item]) -> None:
        self._fields = fields
        self._known = {item: (place, entry.fields) for place, (item, entry) in enumerate(catalogue.items())}
        self._table = self._new(list(catalogue.values()))

    def of(self, items: Sequence[Item]) -> NDArray[np.int64]:
        """(n, columns of all fields) indexes."""
        places = np.fromiter((self._place(item) for item in items), np.int64, len(items))
        stored = places >= 0
        rows = np.empty((len(items), self._table.shape[1]), dtype=np.int64)
        rows[stored] = self._table[places[stored]]
        rows[~stored] = self._new([items[row] for row in np.flatnonzero(~stored).tolist()])
        return rows

    def _place(self, item: Item) -> int:
        """The item's row of the table; -1 for one that the catalogue does not know, or knows with other fields."""
        place, fields = self._known.get(item.id, (-1, None))
        return place if item.fields is fields else -1

    def _new(self, items: Sequence[Item]) -> NDArray[np.int64]:
        name = self._fields[0].name
        rows = [row_of(self._fields, {**item.fields, name: (item.id,)}) for item in items]
        return np.asarray(rows, dtype=np.int64).reshape(len(items), sum(field.columns for field in self._fields))
