"""Interest pairs: which events make one, what stands for a query, and what may not teach."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from content_log import items_table, picture, recipe_of, write_tables
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport_edge.errors import SettingsError
from rapport_training.interest.content.catalogue import read_catalogue, titles_of
from rapport_training.interest.content.csft.bounds import Bounds
from rapport_training.interest.content.csft.pairs import Pairs, interest_pairs
from rapport_training.interest.content.language import new_language_tower
from rapport_training.interest.content.recipe import Csft
from rapport_training.interest.data.log import BehaviourLog
from rapport_training.interest.data.schema import TABLES

Event = tuple[str, str, int, str, float]


def log_of(folder: Path, events: list[Event], images: dict[int, bytes] | None = None) -> BehaviourLog:
    columns: dict[str, Any] = {name: [None] * len(events) for name in TABLES["events"].names}
    for name, values in zip(("user", "item", "time", "kind", "label"), zip(*events, strict=True), strict=True):
        columns[name] = list(values)
    columns["query_image"] = [(images or {}).get(row) for row in range(len(events))]
    users = sorted({event[0] for event in events})
    return write_tables(folder, items_table(16), {"id": users, "attributes": [[]] * len(users)}, columns)


def pairs_of(log: BehaviourLog, bounds: Bounds | None = None, **options: Any) -> Pairs:
    language = new_language_tower(recipe_of().language, titles_of(log))
    return interest_pairs(log, read_catalogue(log, language, 32), Csft(**options), bounds or Bounds())


def named(pairs: Pairs) -> list[tuple[int, int]]:
    return list(zip(pairs.query.tolist(), pairs.item.tolist(), strict=True))


def test_the_item_liked_just_before_stands_for_the_query(tmp_path: Path) -> None:
    events = [
        ("a", "i1", 1, "purchase", 1.0),
        ("b", "i9", 2, "purchase", 1.0),
        ("a", "i2", 3, "click", 1.0),  # no purchase: neither a pair nor a query
        ("a", "i3", 4, "purchase", 1.0),
        ("b", "i9", 5, "purchase", 1.0),  # the same item again says nothing
        ("b", "i0", 6, "purchase", 1.0),
        ("a", "i4", 7, "purchase", 1.0),
    ]
    assert named(pairs_of(log_of(tmp_path / "log", events))) == [(1, 3), (9, 0), (3, 4)]
    assert named(pairs_of(log_of(tmp_path / "again", events), signal="click")) == [(1, 2), (2, 3), (9, 0), (3, 4)]


def test_a_searched_picture_is_the_query(tmp_path: Path) -> None:
    events = [("a", "i1", 1, "purchase", 1.0), ("a", "i2", 2, "purchase", 1.0), ("a", "i3", 3, "purchase", 1.0)]
    images = {0: picture(0, 77), 1: picture(1, 78), 2: picture(0, 77)}
    pairs = pairs_of(log_of(tmp_path / "log", events, images))
    assert named(pairs) == [(16, 1), (17, 2), (16, 3)]
    assert len(pairs.searched) == 2
    assert pairs.counts["pairs with an image query"] == 3
    broken = pairs_of(log_of(tmp_path / "broken", events, {**images, 1: b"no picture"}))
    assert named(broken) == [(16, 1), (16, 3)]
    assert broken.counts["pairs whose query has no picture"] == 1


def test_ratings_good_ones_stand_for_purchases_and_any_for_clicks(tmp_path: Path) -> None:
    stars = [5, 4, 3, 2, 4]
    events = [("a", f"i{n}", n, "rating", star / 5) for n, star in enumerate(stars)]
    log = log_of(tmp_path / "log", events)
    assert named(pairs_of(log)) == [(0, 1), (1, 4)]
    assert named(pairs_of(log, signal="click")) == [(0, 1), (1, 2), (2, 3), (3, 4)]


def test_impressions_without_a_click_teach_nothing(tmp_path: Path) -> None:
    events = [("a", f"i{n}", n, "impression" if n % 2 else "click", float(1 - n % 2)) for n in range(6)]
    assert named(pairs_of(log_of(tmp_path / "log", events))) == [(0, 2), (2, 4)]


def test_items_that_lack_something_are_left_out_and_counted(tmp_path: Path) -> None:
    # Of 16 items, 11 has neither, 12 no title, 13 a damaged picture, 14 another kind of file, 15 no picture.
    events = [("a", f"i{n}", n, "purchase", 1.0) for n in range(9, 16)] + [("a", "i0", 20, "purchase", 1.0)]
    pairs = pairs_of(log_of(tmp_path / "log", events))
    assert named(pairs) == [(9, 10)]
    assert pairs.counts["pairs whose item lacks picture or title"] == 5
    assert pairs.counts["pairs whose query has no picture"] == 4


def test_a_log_without_the_signal_is_refused(tmp_path: Path) -> None:
    log = log_of(tmp_path / "log", [("a", "i1", 1, "click", 1.0), ("a", "i2", 2, "click", 1.0)])
    with pytest.raises(SettingsError, match="has no purchases, ratings or reviews, only click"):
        pairs_of(log, signal="purchase")
    with pytest.raises(SettingsError, match="gives no interest pairs"):
        pairs_of(log, Bounds(until=1))


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> tuple[BehaviourLog, list[Event]]:
    rng = np.random.default_rng(0)
    events = [
        (f"u{rng.integers(5)}", f"i{rng.integers(11)}", time // 2, "purchase" if rng.random() < 0.6 else "click", 1.0)
        for time in range(150)
    ]
    return log_of(tmp_path_factory.mktemp("busy") / "log", events), events


@settings(max_examples=25, deadline=None)
@given(until=st.integers(30, 80), leave_last=st.integers(0, 3), signal=st.sampled_from(["purchase", "click"]))
def test_no_event_after_the_end_teaches(
    busy: tuple[BehaviourLog, list[Event]], until: int, leave_last: int, signal: str
) -> None:
    """The pairs are those of a log that ends there, found the slow way."""
    log, events = busy
    kinds = {"purchase"} if signal == "purchase" else {"purchase", "click"}
    expected, chosen = [], [event for event in events if event[3] in kinds and event[2] <= until]
    for user in {event[0] for event in chosen}:
        own = [event for event in chosen if event[0] == user]
        own = own[: len(own) - leave_last]
        for before, after in pairwise(own):
            if before[1] != after[1]:
                expected.append((int(before[1][1:]), int(after[1][1:])))
    assert sorted(named(pairs_of(log, Bounds(until, leave_last), signal=signal))) == sorted(expected)
