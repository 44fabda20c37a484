"""Attributes become columns, and what training has not seen is unknown."""

from __future__ import annotations

from behaviour_logs import Event, write_events

from rapport_training.interest.batch import UNKNOWN
from rapport_training.interest.data.log_writer import About, write_log
from rapport_training.interest.data.prepare import prepare
from rapport_training.interest.data.settings import PrepareSettings


def test_what_training_has_not_seen_is_unknown_to_its_vocabularies(tmp_path):
    events = [Event("anna", "a", t, 1 + 4 * (t % 2)) for t in range(8)]
    events += [Event("bert", "bb", 8), Event("bert", "bb", 9)]
    prepared = prepare(write_events(tmp_path / "log", events), PrepareSettings(), tmp_path / "out")
    index = {one: place for place, one in enumerate(prepared.item_ids)}
    assert prepared.item_values[index["a"]].tolist() == [index["a"], 2]
    assert prepared.item_values[index["bb"]].tolist() == [UNKNOWN, UNKNOWN], "neither the item nor its category 'even'"
    assert prepared.user_values[:, 0].tolist() == [0, 1, 2, UNKNOWN]
    assert [field.name for field in prepared.item_fields] == ["item", "category"]
    assert prepared.item_fields[1].vocabulary == 3
    assert prepared.item_created.tolist() == [-1, -1, 0, 8]


def test_attributes_with_several_values_become_columns(tmp_path):
    def fill(writer):
        genres = [["drama", "war"], ["war"], [], ["war", "noir", "drama"]]
        writer.add_items(id=list("abcd"), attributes=[[("genre", one), ("year", ["1999"])] for one in genres])
        writer.add_users(id=["u"], attributes=[[("age", ["20s"])]])
        writer.add_events(user=["u"] * 10, item=list("abcabcabcd"), time=range(10), label=[1.0, 0.0] * 5)

    prepared = prepare(write_log(About("test"), fill, tmp_path / "log"), PrepareSettings(), tmp_path / "out")
    fields = {field.name: (field.vocabulary, field.columns) for field in prepared.item_fields}
    assert fields == {"item": (6, 1), "category": (2, 1), "genre": (4, 3), "year": (3, 1)}
    genre = prepared.item_values[2:, 2:5].tolist()
    assert genre == [[2, 3, 0], [3, 0, 0], [0, 0, 0], [3, UNKNOWN, 2]]
    assert [field.name for field in prepared.user_fields] == ["user", "age"]
