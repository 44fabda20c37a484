"""Indexes of items: those of the catalogue from a table, others anew."""

from __future__ import annotations

import numpy as np

from rapport_edge.ranking import Event, Item
from rapport_edge.ranking.rows import ItemRows
from rapport_edge.ranking.vocabulary import FieldVocabulary

FIELDS = (FieldVocabulary("item", 1, ["a", "b"]), FieldVocabulary("genre", 2, ["war", "love"]))
CATALOGUE = {item.id: item for item in (Item(id="a", fields={"genre": ("love",)}), Item(id="b"), Item(id="late"))}


def test_stored_and_new_items_stand_in_the_order_of_the_question():
    rows = ItemRows(FIELDS, CATALOGUE)
    asked = [
        CATALOGUE["late"],
        Item(id="nobody", fields={"genre": ("war", "odd", "love")}),
        Event(id="a", time=1.0, fields=CATALOGUE["a"].fields),
        Item(id="a", fields={"genre": ("war",)}),
        CATALOGUE["b"],
    ]
    expected = [[1, 0, 0], [1, 2, 1], [2, 3, 0], [2, 2, 0], [3, 0, 0]]
    assert rows.of(asked).tolist() == expected
    assert rows.of(asked[::-1]).tolist() == expected[::-1]


def test_no_items_and_no_catalogue_have_rows_of_the_right_width():
    for catalogue in (CATALOGUE, {}):
        rows = ItemRows(FIELDS, catalogue)
        assert rows.of([]).shape == (0, 3)
        assert rows.of([Item(id="b")]).tolist() == [[3, 0, 0]]
        assert rows.of([Item(id="b")]).dtype == np.int64
