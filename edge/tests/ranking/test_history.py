"""Any list of events becomes a history in order, and what cannot be one is refused."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapport_edge.ranking import Event, RankingError
from rapport_edge.ranking.history import ordered

events = st.builds(Event, id=st.sampled_from("abcde"), time=st.integers(0, 9).map(float))
untimed = st.builds(Event, id=st.sampled_from("abcde"))


@given(st.lists(events), st.integers(1, 8), st.randoms())
def test_the_order_in_which_timed_events_come_does_not_matter(given_events, length, random):
    shuffled = list(given_events)
    random.shuffle(shuffled)
    found, again = ordered(given_events, length), ordered(shuffled, length)
    assert [event.time for event in found] == [event.time for event in again]
    assert [event.time for event in found] == sorted(event.time for event in found)


@given(st.lists(events), st.integers(1, 8))
def test_duplicates_count_once_and_the_most_recent_remain(given_events, length):
    found = ordered(given_events, length)
    distinct = {(event.id, event.time) for event in given_events}
    assert len(found) == min(length, len(distinct))
    assert len({(event.id, event.time) for event in found}) == len(found)
    left_out = distinct - {(event.id, event.time) for event in found}
    assert all(time <= found[0].time for _, time in left_out)


@given(st.lists(untimed), st.integers(1, 8))
def test_without_times_the_given_order_stays(given_events, length):
    assert list(ordered(given_events, length)) == given_events[-length:]


def test_some_times_are_refused():
    with pytest.raises(RankingError, match="'b' of the history has no time, but 'a' has one"):
        ordered([Event(id="a", time=1.0), Event(id="b")], 5)


@pytest.mark.parametrize("time", [math.nan, math.inf])
def test_a_time_that_is_none_is_refused(time):
    with pytest.raises(RankingError, match="'a' of the history has the time"):
        ordered([Event(id="a", time=time)], 5)


@pytest.mark.parametrize("time", [1_700_000_000_000.0, -1e300])
def test_a_time_in_milliseconds_is_refused(time):
    with pytest.raises(RankingError, match=r"'a' of the history has the time .* are these milliseconds"):
        ordered([Event(id="a", time=time)], 5)
