"""Each class of data expires in its own time, whatever the clock does."""

from __future__ import annotations

import pytest
from people import DIGEST, FakeClock, bytes_on_disk, remember, unit

from rapport_edge.store import (
    EventKind,
    InteractionKind,
    InteractionRecord,
    PreferenceRecord,
    ProfileStore,
    RetentionSettings,
    StoreSettings,
    UnknownUserError,
)

DAY = 86400.0
CLASSES = ("embeddings", "demographics", "preferences", "interactions")


def test_each_class_of_data_has_its_own_time(path, clock):
    retention = RetentionSettings(embeddings_days=10, demographics_days=20, preferences_days=30, interactions_days=40)
    with ProfileStore(path, StoreSettings(retention=retention), clock) as store:
        remember(store, "p", seed=5)
        store.set_preference("p", PreferenceRecord(topic="jazz", strength=0.5, confidence=0.5))
        store.add_interaction("p", InteractionRecord(item_id="x", kind=InteractionKind.LIKED))
        assert store.recognise(unit(5), DIGEST, 0.5) is not None
        reports = []
        for _ in range(45):
            clock.now += DAY
            reports.append(store.purge_expired())
        profile = store.get("p")
        assert store.recognise(unit(5), DIGEST, 0.5) is None
        assert unit(5).astype("<f2").tobytes()[:32] not in bytes_on_disk(path)
    first = {name: next(day for day, r in enumerate(reports, 1) if getattr(r, name)) for name in CLASSES}
    assert first == {"embeddings": 11, "demographics": 21, "preferences": 31, "interactions": 41}
    assert (profile.demographics, profile.preferences) == ((), ())


def test_persons_not_seen_for_long_expire_as_a_whole(path, clock, events):
    retention = RetentionSettings(users_days=5, audit_days=3, anonymous_minutes=10)
    with ProfileStore(path, StoreSettings(retention=retention), clock, events.append) as store:
        remember(store, "p")
        store.see("stranger")
        clock.now += 3600.0
        assert store.purge_expired().anonymous == 1
        assert events[-1].kind is EventKind.EXPIRED
        assert events[-1].user_id == "stranger"
        reports = []
        for _ in range(5):
            clock.now += DAY
            reports.append(store.purge_expired())
        assert [report.users for report in reports] == [0, 0, 0, 0, 1]
        with pytest.raises(UnknownUserError):
            store.get("p")
        assert [entry.action for entry in store.audit_log()] == ["expire"]


def test_a_clock_that_leaps_ahead_does_not_delete_at_once(store, clock):
    remember(store, "p")
    store.purge_expired()
    clock.now += 30 * 365 * DAY
    assert store.purge_expired().deferred
    clock.now -= 30 * 365 * DAY
    assert not store.purge_expired().deferred
    assert store.get("p").observations == 3
    clock.now += 30 * 365 * DAY
    for _ in range(24):
        assert store.purge_expired().deferred
        clock.now += 3600.0
    assert store.purge_expired().users == 1


def test_a_wrong_clock_at_several_starts_deletes_nobody(path, clock):
    with ProfileStore(path, clock=clock) as store:
        remember(store, "p")
        store.purge_expired()
    for years in (5, 5, 5, 10, 15, 4, 5):
        with ProfileStore(path, clock=FakeClock(clock.now + years * 365 * DAY)) as store:
            assert store.purge_expired().deferred
    with ProfileStore(path, clock=clock) as store:
        assert not store.purge_expired().deferred
        assert store.get("p").observations == 3


def test_a_robot_that_rests_for_weeks_still_deletes(path, clock):
    with ProfileStore(path, StoreSettings(retention=RetentionSettings(users_days=10)), clock) as store:
        remember(store, "p")
        store.purge_expired()
        deleted = 0
        for _ in range(5):
            clock.now += 14 * DAY
            for _ in range(9):
                deleted += store.purge_expired().users
                clock.now += 3600.0
    assert deleted == 1
