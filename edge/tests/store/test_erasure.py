"""Who is forgotten leaves no byte behind."""

from __future__ import annotations

import sqlite3

import pytest
from people import DIGEST, bytes_on_disk, estimate, remember, unit

from rapport_edge.store import (
    Consent,
    EventKind,
    InteractionKind,
    InteractionRecord,
    PreferenceRecord,
    ProfileStore,
    StoreSettings,
)


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
