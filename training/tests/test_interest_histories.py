"""No history holds anything of its event or after it, whatever the log."""

from __future__ import annotations

from behaviour_logs import Event, write_events
from hypothesis import given, settings
from hypothesis import strategies as st
from prepared_samples import samples_of

from rapport_training.interest.data.errors import LogError
from rapport_training.interest.data.prepare import prepare
from rapport_training.interest.data.prepared import SPLITS
from rapport_training.interest.data.settings import PrepareSettings

EVENT = st.builds(
    Event,
    user=st.sampled_from(["anna", "bert", "cleo", "dora"]),
    item=st.sampled_from(list("abcdefgh")),
    time=st.integers(0, 40),
    stars=st.integers(1, 5),
    kind=st.sampled_from(["rating", "view"]),
)
#: Both labels, and five distinct times at either end: no split is empty.
ALWAYS = [Event("anna", "a", -t, 1 + 4 * (t % 2)) for t in range(1, 6)]
ALWAYS += [Event("bert", "b", 50 + t, 1 + 4 * (t % 2)) for t in range(5)]
LOGS = st.lists(EVENT, min_size=5, max_size=35).map(lambda events: ALWAYS + events)


def distinct(events: list[Event]) -> list[Event]:
    """As the log keeps them: sorted by time, the first of duplicates."""
    kept = {}
    for event in events:
        kept.setdefault((event.user, event.item, event.time, event.kind), event)
    return sorted(kept.values(), key=lambda event: event.time)


@settings(max_examples=30)
@given(
    events=LOGS,
    protocol=st.sampled_from(["time", "leave-last-out"]),
    negatives=st.sampled_from([0, 0, 1, 3]),
    history_kinds=st.sampled_from([(), ("rating",)]),
    part_events=st.integers(1, 30),
)
def test_nothing_of_the_event_or_after_it_is_in_its_history(
    tmp_path_factory, events, protocol, negatives, history_kinds, part_events
):
    folder = tmp_path_factory.mktemp("leak")
    log = write_events(folder / "log", events)
    shares = {"shares": (0.5, 0.25, 0.25)} if protocol == "time" else {}
    chosen = PrepareSettings(protocol=protocol, negatives=negatives, history_kinds=history_kinds, **shares)
    try:
        prepared = prepare(log, chosen, folder / "prepared", part_events=part_events)
    except LogError as error:
        assert "would be empty" in str(error), "random times can leave a split without events"
        return
    kept = distinct(events)
    behaviours = [event for event in kept if event.stars >= 4 and event.kind in (history_kinds or ("rating", "view"))]
    found = list(samples_of(prepared))
    for _, user, _, _, time, history, _ in found:
        before = [event.item for event in behaviours if event.user == user and event.time < time]
        assert history == before, "a history is all that the user liked strictly before, oldest first"
    check_events(found, kept, negatives)
    check_splits(found, protocol)
    trained = {item for split, _, item, *_ in found if split == "train"}
    assert all(cold == (item not in trained) for _, _, item, _, _, _, cold in found)


def check_events(found, kept, negatives):
    """Each event is explained once, and no sampled negative was met, ever."""
    real = [(user, item, time, label) for _, user, item, label, time, _, _ in found if label or not negatives]
    wanted = [event for event in kept if event.stars >= 4 or not negatives]
    assert sorted(real) == sorted((e.user, e.item, e.time, int(e.stars >= 4)) for e in wanted)
    if not negatives:
        return
    met = {(event.user, event.item) for event in kept}
    first_met = {event.item: event.time for event in reversed(kept)}
    for _, user, item, label, time, _, _ in found:
        if not label:
            assert (user, item) not in met
            assert first_met[item] <= time, "an item that nobody had seen yet"


def check_splits(found, protocol):
    """No test event is before a training event: of all, or of the same user."""
    for one_split, one_user, _, _, one_time, _, _ in found:
        for other_split, other_user, _, _, other_time, _, _ in found:
            if SPLITS.index(one_split) >= SPLITS.index(other_split):
                continue
            if protocol == "time":
                assert one_time < other_time
            elif one_user == other_user:
                assert one_time <= other_time
