"""Consent, deletion, export, merging and retention."""

from __future__ import annotations

import itertools
import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from people import DIGEST, FakeClock, bytes_on_disk, estimate, remember, unit

from rapport_edge.errors import StoreError
from rapport_edge.store import (
    Consent,
    ConsentError,
    EventKind,
    InteractionKind,
    InteractionRecord,
    PreferenceRecord,
    ProfileStore,
    RetentionSettings,
    StoreSettings,
    UnknownUserError,
)
from rapport_edge.store.consent import REFUSALS, TRANSITIONS
from rapport_edge.store.export import write_private

DAY = 86400.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def events():
    return []


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store" / "profiles.db"


@pytest.fixture
def store(path, clock, events):
    with ProfileStore(path, clock=clock, on_event=events.append) as opened:
        yield opened


def _bring_to(store: ProfileStore, user_id: str, consent: Consent) -> None:
    store.see(user_id)
    if consent is not Consent.UNKNOWN:
        store.set_consent(user_id, consent, "self")


@pytest.mark.parametrize(("old", "new"), list(itertools.permutations(Consent, 2)))
def test_consent_changes_only_as_allowed(store, old, new):
    _bring_to(store, "p", old)
    if new in TRANSITIONS[old]:
        profile = store.set_consent("p", new, "self")
        assert profile.consent is new
        assert profile.anonymous is (new is not Consent.GRANTED)
    else:
        with pytest.raises(ConsentError, match=f"from {old.value} to {new.value}"):
            store.set_consent("p", new, "self")
        assert store.get("p").consent is old


@pytest.mark.parametrize("consent", Consent)
def test_a_no_is_accepted_in_every_state(consent):
    assert REFUSALS - {consent} <= TRANSITIONS[consent]


def test_saying_it_again_changes_nothing(store, events):
    remember(store, "p")
    before = store.consent_history("p")
    events.clear()
    store.set_consent("p", Consent.GRANTED, "self")
    assert store.consent_history("p") == before
    assert events == []


def test_granting_moves_everything_known_so_far_to_the_disk(store, path, clock):
    store.observe("p", estimate(), "e1")
    store.set_preference("p", PreferenceRecord(topic="jazz", strength=0.5, confidence=0.5))
    store.add_interaction("p", InteractionRecord(item_id="song", kind=InteractionKind.LIKED))
    store.set_consent("p", Consent.NOTIFIED, "robot", "told at the door")
    before = store.collect("p", 0.0)
    store.set_consent("p", Consent.GRANTED, "self", "said yes")
    store.close()
    with ProfileStore(path, clock=clock) as again:
        after = again.collect("p", 0.0)
    assert not after.profile.anonymous
    assert after.profile.demographics == before.profile.demographics
    assert after.profile.preferences == before.profile.preferences
    assert after.interactions == before.interactions
    np.testing.assert_allclose(after.embeddings[0].vector, before.embeddings[0].vector)
    assert [(c.consent, c.actor, c.evidence) for c in after.consent_history] == [
        (Consent.NOTIFIED, "robot", "told at the door"),
        (Consent.GRANTED, "self", "said yes"),
    ]


@pytest.mark.parametrize("how", ["withdrawn", "denied", "forget"])
def test_no_byte_of_a_person_remains(store, path, how):
    for number in range(30):
        remember(store, f"other{number}", seed=100 + number)
    remember(store, "person_ada", seed=7)
    store.introduce("person_ada", "Ada Lovelace-Byron", ("en",))
    store.set_preference("person_ada", PreferenceRecord(topic="difference engines", strength=1.0, confidence=1.0))
    store.add_interaction("person_ada", InteractionRecord(item_id="item-4711", kind=InteractionKind.FINISHED))
    secrets = [
        b"Lovelace",
        b"difference engines",
        b"item-4711",
        b"said yes-ada",
        unit(7).astype("<f2").tobytes()[:32],
        unit(7).astype("<f4").tobytes()[:32],
    ]
    store.set_consent("person_ada", Consent.GRANTED, "self", "said yes-ada")
    assert sum(secret in bytes_on_disk(path) for secret in secrets) >= 4, "the test must look in the right place"
    if how == "forget":
        assert store.forget("person_ada", "self").traces_erased
    else:
        store.set_consent("person_ada", Consent(how), "self")
    remaining = bytes_on_disk(path)
    assert [secret for secret in secrets if secret in remaining] == []
    assert store.candidates(unit(7), DIGEST, 50)[0].similarity < 0.6
    assert store.profiles(include_anonymous=False).total == 30


def test_withdrawing_tells_every_node(store, events):
    remember(store, "p")
    events.clear()
    profile = store.set_consent("p", Consent.WITHDRAWN, "self")
    assert [event.kind for event in events] == [EventKind.CONSENT_CHANGED, EventKind.FORGOTTEN]
    assert profile.demographics == ()


def test_nothing_is_learned_of_a_person_who_said_no(store):
    store.observe("p", estimate(), "e1")
    store.set_consent("p", Consent.DENIED, "self")
    assert store.observe("p", estimate(), "e2").demographics == ()
    with pytest.raises(ConsentError, match="denied"):
        store.set_preference("p", PreferenceRecord(topic="jazz", strength=0.5, confidence=0.5))
    with pytest.raises(ConsentError, match="denied"):
        store.add_interaction("p", InteractionRecord(item_id="x", kind=InteractionKind.SHOWN))
    assert store.set_consent("p", Consent.GRANTED, "self").consent is Consent.GRANTED


def test_a_reader_in_the_way_delays_erasing_but_not_forgetting(path, clock):
    with ProfileStore(path, StoreSettings(busy_timeout_s=0.05), clock) as store:
        remember(store, "p", seed=3)
        reader = sqlite3.connect(path)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM users").fetchone()
        result = store.forget("p", "self")
        assert not result.traces_erased
        assert store.find("p") is None
        reader.close()
    secret = unit(3).astype("<f2").tobytes()[:32]
    with ProfileStore(path, clock=clock):
        assert secret not in bytes_on_disk(path)


def test_only_persons_with_consent_are_recognised(store):
    store.observe("stranger", estimate(seed=1), "e1")
    remember(store, "friend", seed=2)
    assert store.recognise(unit(1), DIGEST, 0.5) is None
    match = store.recognise(unit(2), DIGEST, 0.5)
    assert match.user_id == "friend"
    assert match.similarity == pytest.approx(1.0, abs=1e-3)
    assert store.recognise(unit(2), "c" * 64, 0.5) is None
    store.set_consent("stranger", Consent.GRANTED, "self")
    assert store.recognise(unit(1), DIGEST, 0.5).user_id == "stranger"
    store.set_consent("friend", Consent.WITHDRAWN, "self")
    assert store.recognise(unit(2), DIGEST, 0.5) is None


def test_an_export_has_everything_and_says_so_in_the_log(store, events):
    remember(store, "p")
    store.introduce("p", "Ada")
    store.add_interaction("p", InteractionRecord(item_id="x", kind=InteractionKind.LIKED))
    document = json.loads(store.export("p", "operator:eve"))
    assert document["format"] == "rapport-profile-export"
    assert document["profile"]["name"] == "Ada"
    assert document["consent_history"][0]["consent"] == "granted"
    assert len(document["embeddings"][0]["vector"]) == 64
    assert document["interactions"][0]["item_id"] == "x"
    assert document["audit"][0]["actor"] == "operator:eve"
    assert events[-1].kind is EventKind.EXPORTED


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    target = tmp_path / "export.json"
    write_private(target, b"{}")
    assert target.read_bytes() == b"{}"
    assert target.stat().st_mode & 0o777 == 0o600
    with pytest.raises(StoreError, match="nowhere"):
        write_private(tmp_path / "nowhere" / "export.json", b"{}")
    assert [file.name for file in tmp_path.iterdir()] == ["export.json"]


def test_merging_keeps_the_older_id_and_both_histories(store, clock, events):
    remember(store, "older", seed=1, female=0.9, observations=1)
    store.set_preference("older", PreferenceRecord(topic="jazz", strength=0.1, confidence=0.5, evidence=2))
    clock.now += 100
    remember(store, "newer", seed=2, female=0.5, observations=3)
    store.set_preference("newer", PreferenceRecord(topic="jazz", strength=0.9, confidence=0.9, evidence=1))
    store.introduce("newer", "Ada", ("en",))
    store.add_interaction("newer", InteractionRecord(item_id="x", kind=InteractionKind.LIKED))
    profile = store.merge("newer", "older", "operator")
    assert profile.user_id == "older"
    assert profile.name == "Ada"
    assert profile.last_seen == clock.now
    gender = next(record for record in profile.demographics if record.attribute == "gender")
    assert gender.probabilities[0] == pytest.approx((0.9 + 3 * 0.5) / 4)
    assert (profile.preferences[0].strength, profile.preferences[0].evidence) == (0.9, 3)
    assert store.get("newer").user_id == "older"
    assert len(store.interactions("newer")) == 1
    assert len(store.consent_history("older")) == 2
    assert store.profiles().total == 1
    assert (events[-1].kind, events[-1].user_id, events[-1].other_user_id) == (EventKind.MERGED, "newer", "older")
    assert {match.user_id for match in store.candidates(unit(2), DIGEST)} == {"older"}
    with pytest.raises(StoreError, match="same person"):
        store.merge("older", "newer", "operator")


@pytest.mark.parametrize(("first", "second"), list(itertools.product(Consent, repeat=2)))
def test_merged_consent_is_the_one_that_protects_more(store, path, clock, first, second):
    for user_id, consent, seed in (("first", first, 1), ("second", second, 2)):
        clock.now += 10
        store.observe(user_id, estimate(seed=seed), user_id)
        if consent is not Consent.UNKNOWN:
            store.set_consent(user_id, consent, "self")
    profile = store.merge("first", "second", "operator")
    answers = {first, second} - {Consent.UNKNOWN, Consent.NOTIFIED}
    if answers & REFUSALS:
        assert profile.consent in REFUSALS & answers
        assert profile.demographics == ()
        remaining = bytes_on_disk(path)
        assert not any(unit(seed).astype("<f2").tobytes()[:32] in remaining for seed in (1, 2))
    elif answers:
        assert profile.consent is Consent.GRANTED
    assert profile.anonymous is (profile.consent is not Consent.GRANTED)
    assert store.get("second") == profile


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
    first = {name: next(day for day, r in enumerate(reports, 1) if getattr(r, name)) for name in _CLASSES}
    assert first == {"embeddings": 11, "demographics": 21, "preferences": 31, "interactions": 41}
    assert (profile.demographics, profile.preferences) == ((), ())


_CLASSES = ("embeddings", "demographics", "preferences", "interactions")


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


def test_a_stranger_who_leaves_is_dropped_without_a_trace(store, events):
    store.observe("stranger", estimate(), "e1")
    remember(store, "friend")
    before = store.audit_log()
    assert store.drop_stranger("stranger")
    assert (events[-1].kind, events[-1].user_id) == (EventKind.FORGOTTEN, "stranger")
    assert store.find("stranger") is None
    assert not store.drop_stranger("friend")
    assert not store.drop_stranger("stranger")
    assert store.get("friend").observations == 3
    assert store.audit_log() == before


def test_requests_of_others_can_be_logged(store):
    store.see("person_1")
    for user_id, noted in (("person_1", "person_1"), ("Ada", ""), ("x" * 100_000, "")):
        store.record_request("operator", "rank", user_id, "refused")
        assert store.audit_log()[0].user_id == noted
    store.record_request("operator", "find", "", "3 persons")
    assert store.audit_log()[0].outcome == "3 persons"
    with pytest.raises(StoreError, match="actor"):
        store.record_request("", "find", "", "")
