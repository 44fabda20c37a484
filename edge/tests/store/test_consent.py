"""Consent: which answers may follow which, and what each allows."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from people import DIGEST, estimate, remember, unit

from rapport_edge.store import (
    Consent,
    ConsentError,
    EventKind,
    InteractionKind,
    InteractionRecord,
    PreferenceRecord,
    ProfileStore,
)
from rapport_edge.store.consent import REFUSALS, TRANSITIONS


def bring_to(store: ProfileStore, user_id: str, consent: Consent) -> None:
    store.see(user_id)
    if consent is not Consent.UNKNOWN:
        store.set_consent(user_id, consent, "self")


@pytest.mark.parametrize(("old", "new"), list(itertools.permutations(Consent, 2)))
def test_consent_changes_only_as_allowed(store, old, new):
    bring_to(store, "p", old)
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
