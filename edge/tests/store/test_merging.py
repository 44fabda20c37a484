"""Two profiles that turn out to be one person's."""

from __future__ import annotations

import itertools

import pytest
from people import DIGEST, bytes_on_disk, estimate, remember, unit

from rapport_edge.errors import StoreError
from rapport_edge.store import Consent, EventKind, InteractionKind, InteractionRecord, PreferenceRecord
from rapport_edge.store.consent import REFUSALS


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
