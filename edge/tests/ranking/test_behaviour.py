"""Which stored interactions make a history."""

from __future__ import annotations

from rapport_edge.ranking.behaviour import history_of
from rapport_edge.store import InteractionKind, InteractionRecord


def record(item, kind, at, label=None):
    return InteractionRecord(item_id=item, kind=InteractionKind(kind), at=at, label=label)


def test_only_interest_counts_oldest_first():
    newest_first = [record(kind, kind, at) for kind, at in (("liked", 6), ("skipped", 5), ("finished", 4))]
    newest_first += [record("shown", "shown", 3), record("opened", "opened", 2), record("disliked", "disliked", 1)]
    assert [(event.id, event.time) for event in history_of(newest_first)] == [
        ("opened", 2),
        ("finished", 4),
        ("liked", 6),
    ]


def test_one_choice_with_several_signs_of_interest_counts_once():
    newest_first = [record("a", "finished", 9), record("a", "opened", 8)]
    newest_first += [record("a", "opened", 7), record("b", "opened", 6), record("a", "liked", 5)]
    newest_first += [record("c", "shown", 4), record("a", "finished", 3), record("a", "opened", 2)]
    assert [(event.id, event.time) for event in history_of(newest_first)] == [("a", 2), ("b", 6), ("a", 7), ("a", 8)]


def test_a_label_counts_more_than_the_kind():
    newest_first = [record("a", "shown", 3.0, 1.0), record("b", "liked", 2.0, 0.2), record("c", "opened", 1.0, 0.5)]
    assert [event.id for event in history_of(newest_first)] == ["c", "a"]


def test_what_came_before_a_dislike_is_left_out():
    newest_first = [record("a", "liked", 3.0), record("a", "disliked", 2.0), record("a", "opened", 1.0)]
    newest_first += [record("b", "opened", 0.5)]
    assert [(event.id, event.time) for event in history_of(newest_first)] == [("b", 0.5), ("a", 3.0)]
