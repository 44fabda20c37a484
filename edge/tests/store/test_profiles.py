"""Profiles over encounters: what is pooled, what is replaced, who may be known by name."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from people import DIGEST, OTHER_DIGEST, attribute, bytes_on_disk, estimate, remember, unit

from rapport_edge.errors import StoreError
from rapport_edge.faces import DemographicEstimate
from rapport_edge.store import (
    Consent,
    ConsentError,
    EventKind,
    InteractionKind,
    InteractionRecord,
    PreferenceRecord,
    PreferenceSource,
    ProfileEvent,
    ProfileStore,
    UnknownUserError,
)


def test_a_stranger_is_anonymous_and_nothing_of_them_is_on_the_disk(store, path):
    profile = store.observe("person_ada", estimate(), "e1")
    store.set_preference("person_ada", PreferenceRecord(topic="astronomy", strength=1.0, confidence=0.9))
    assert profile.anonymous
    assert profile.consent is Consent.UNKNOWN
    on_disk = bytes_on_disk(path)
    assert b"person_ada" not in on_disk
    assert b"astronomy" not in on_disk


def test_an_encounter_replaces_its_own_estimate_and_adds_to_earlier_ones(store):
    store.observe("p", estimate(female=0.2, observations=1), "e1")
    store.observe("p", estimate(female=0.9, observations=4), "e1")
    gender = _of(store.get("p").demographics, "gender")
    assert gender.observations == 4
    assert gender.probabilities[0] == pytest.approx(0.9)
    store.observe("p", estimate(female=0.4, observations=1), "e2")
    gender = _of(store.get("p").demographics, "gender")
    assert gender.observations == 5
    assert gender.probabilities[0] == pytest.approx((4 * 0.9 + 0.4) / 5)
    assert gender.label == "Female"


def test_ages_pool_as_a_mixture(store):
    store.observe("p", estimate(mean=20.0, observations=1), "e1")
    store.observe("p", estimate(mean=40.0, observations=1), "e2")
    age = _of(store.get("p").demographics, "age").age
    assert age.mean == pytest.approx(30.0)
    assert age.std == pytest.approx((5.0**2 + 10.0**2) ** 0.5)
    assert age.high - age.low == pytest.approx(12.8)


def test_the_label_is_unknown_when_most_of_the_evidence_is(store):
    sure = attribute("gender", ("Female", "Male"), [0.9, 0.1])
    unsure = attribute("gender", ("Female", "Male"), [0.6, 0.4], known=False)
    store.observe("p", DemographicEstimate(None, {"gender": sure}, unit(0), 2, DIGEST), "e1")
    store.observe("p", DemographicEstimate(None, {"gender": unsure}, unit(0), 3, DIGEST), "e2")
    record = _of(store.get("p").demographics, "gender")
    assert record.label is None
    assert record.confidence == pytest.approx((2 * 0.9 + 3 * 0.6) / 5)
    assert 0.0 < record.uncertainty < 1.0


def test_estimates_of_two_models_are_kept_apart_and_the_newer_is_shown(store, clock):
    store.observe("p", estimate(female=0.9), "e1")
    clock.now += 10
    store.observe("p", estimate(female=0.3, digest=OTHER_DIGEST), "e2")
    gender = _of(store.get("p").demographics, "gender")
    assert gender.model_digest == OTHER_DIGEST
    assert gender.probabilities[0] == pytest.approx(0.3)
    assert len(store.collect("p", clock.now).all_demographics) == 4


@pytest.mark.parametrize("probabilities", [[0.5, float("nan")], [-0.1, 1.1], [0.0, 0.0]])
def test_what_is_no_distribution_is_refused_and_changes_nothing(store, probabilities):
    store.observe("p", estimate(), "e1")
    before = store.get("p")
    broken = attribute("gender", ("Female", "Male"), probabilities)
    with pytest.raises(StoreError, match="no distribution"):
        store.observe("p", DemographicEstimate(None, {"gender": broken}, unit(0), 1, DIGEST), "e2")
    assert store.get("p") == before


def test_an_embedding_of_another_size_under_the_same_model_is_refused(store):
    remember(store, "p")
    with pytest.raises(StoreError, match="64 values, this one has 32"):
        store.observe_embedding("p", DIGEST, unit(1, dim=32), 1.0, "e2")


def test_embeddings_average_over_encounters(store):
    remember(store, "p", seed=1, observations=1)
    store.observe_embedding("p", DIGEST, unit(2), 3.0, "e2")
    (record,) = store.collect("p", 0.0).embeddings
    expected = unit(1) + 3 * unit(2)
    np.testing.assert_allclose(record.vector, expected / np.linalg.norm(expected), atol=1e-3)
    assert record.weight == 4.0


def test_names_need_consent(store, events):
    store.see("p")
    with pytest.raises(ConsentError, match="granted"):
        store.introduce("p", "Ada", ("en",))
    store.set_consent("p", Consent.GRANTED, "self")
    profile = store.introduce("p", "Ada", ("en", "pt-BR"))
    assert (profile.name, profile.languages) == ("Ada", ("en", "pt-BR"))
    assert events[-1].kind is EventKind.UPDATED


def test_preferences_are_ordered_by_strength_and_checked(store, clock):
    store.see("p")
    store.set_preference("p", PreferenceRecord(topic="tea", strength=-0.9, confidence=1.0))
    store.set_preference("p", PreferenceRecord(topic="jazz", strength=0.5, confidence=0.5))
    changed = PreferenceRecord(topic="jazz", strength=1.0, confidence=1.0, source=PreferenceSource.STATED, evidence=3)
    profile = store.set_preference("p", changed)
    assert [p.topic for p in profile.preferences] == ["jazz", "tea"]
    assert profile.preferences[0].source is PreferenceSource.STATED
    assert profile.preferences[0].updated == clock.now
    with pytest.raises(StoreError, match="strength"):
        store.set_preference("p", PreferenceRecord(topic="jazz", strength=1.5, confidence=0.5))


def test_interactions_are_read_newest_first(store, clock):
    store.see("p")
    for item in ("a", "b", "c"):
        clock.now += 1
        store.add_interaction("p", InteractionRecord(item_id=item, kind=InteractionKind.OPENED, label=1.0))
    assert [i.item_id for i in store.interactions("p", limit=2)] == ["c", "b"]


def test_an_interaction_that_claims_to_be_later_does_not_outlive_its_retention(store, clock):
    store.see("p")
    for item, at in (("earlier", clock.now - 60), ("later", clock.now + 1e9)):
        store.add_interaction("p", InteractionRecord(item_id=item, kind=InteractionKind.LIKED, at=at))
    assert [(i.item_id, i.at) for i in store.interactions("p")] == [("later", clock.now), ("earlier", clock.now - 60)]


@pytest.mark.parametrize("user_id", ["", "1abc", "a b", "a/b", "x" * 65, "né"])
def test_ids_that_cannot_be_part_of_a_topic_name_are_refused(store, user_id):
    with pytest.raises(StoreError, match="refuses"):
        store.see(user_id)


def test_an_unknown_id_is_an_error_with_the_id_in_it(store):
    with pytest.raises(UnknownUserError, match="'nobody'"):
        store.get("nobody")
    assert store.find("nobody") is None


def test_profiles_come_in_pages_the_last_seen_first(store, clock):
    for number in range(5):
        clock.now += 10
        store.see(f"p{number}")
        if number % 2:
            store.set_consent(f"p{number}", Consent.GRANTED, "self")
    page = store.profiles(limit=2, offset=1)
    assert [p.user_id for p in page.profiles] == ["p3", "p2"]
    assert page.total == 5
    assert [p.user_id for p in store.profiles(include_anonymous=False).profiles] == ["p3", "p1"]


def test_a_clock_that_jumps_back_is_noted_and_does_no_harm(store, clock):
    remember(store, "p")
    clock.now -= 86400.0
    store.observe("p", estimate(), "e2")
    profile = store.get("p")
    assert profile.first_seen <= profile.last_seen
    assert store.audit_log(limit=1)[0].action == "clock"
    assert "86400" in store.audit_log(limit=1)[0].outcome


def test_events_go_out_after_the_change_and_without_a_lock(tmp_path, clock):
    seen: list[bool] = []

    def look_from_another_thread(event: ProfileEvent) -> None:
        thread = threading.Thread(target=lambda: seen.append(store.find(event.user_id) is not None))
        thread.start()
        thread.join(timeout=60)

    with ProfileStore(tmp_path / "p.db", clock=clock, on_event=look_from_another_thread) as store:
        store.see("p")
    assert seen == [True]


def test_threads_share_the_store(store):
    def work(number: int) -> None:
        for turn in range(10):
            store.observe(f"p{number}", estimate(observations=turn + 1, seed=number), "e1")
        store.set_consent(f"p{number}", Consent.GRANTED, "self")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.profiles(include_anonymous=False).total == 4
    assert all(store.get(f"p{number}").observations == 10 for number in range(4))


def test_a_closed_store_says_so(tmp_path):
    store = ProfileStore(tmp_path / "p.db")
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.see("p")


def _of(records, name):
    return next(record for record in records if record.attribute == name)
