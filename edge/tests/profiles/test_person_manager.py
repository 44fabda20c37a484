"""From faces to profiles: what is published, what is stored, and what happens when the store does not play along."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from house import House, estimate, view

from rapport_edge.errors import StoreError
from rapport_edge.store import Consent, UnknownUserError

GRANTED, WITHDRAWN = Consent.GRANTED, Consent.WITHDRAWN


def grant(house: House, face_id: str, seed: int) -> str:
    """A person seen by detector and recogniser who says yes; returns the user id."""
    house.people.observe(face_id, estimate(3), view(seed))
    user_id = house.people.profile_of_face(face_id).user_id
    house.people.set_consent(user_id, GRANTED, "self", "said yes")
    return user_id


def test_a_face_becomes_an_anonymous_profile(house: House) -> None:
    house.people.observe("f1", estimate(2))
    (profile,) = house.publish().values()
    assert (profile.user_id, profile.face_id, profile.anonymous) == ("person_1", "f1", True)
    assert profile.observations == 2
    assert house.kinds("person_1") == ["created"]


def test_nothing_of_an_anonymous_person_reaches_the_disk(house: House) -> None:
    house.people.observe("f1", estimate(2), view(1))
    house.publish()
    disk = sqlite3.connect(house.store.path)
    for table in ("users", "demographics", "embeddings", "audit"):
        assert disk.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


def test_profiles_come_at_most_at_the_rate(house: House) -> None:
    published = 0
    for observations in range(1, 101):
        house.people.observe("f1", estimate(observations))
        published += len(house.publish())
        house.now += 0.01
    assert 5 <= published <= 6
    house.wait(0.3)
    assert house.publish()["person_1"].observations == 100


def test_a_person_who_agreed_is_recognised_in_a_later_track(house: House) -> None:
    user_id = grant(house, "f1", seed=1)
    house.people.lose(["f1"])
    for observations in (1, 2):
        house.people.observe("f2", estimate(observations), view(1))
    assert house.people.profile_of_face("f2").user_id == user_id
    assert house.publish()[user_id].face_id == "f2"
    assert house.kinds("person_2")[-1] == "forgotten"
    with pytest.raises(UnknownUserError):
        house.store.get("person_2")


def test_views_of_one_stay_are_counted_once(house: House) -> None:
    user_id = grant(house, "f1", seed=1)
    house.people.lose(["f1"])
    for observations in (1, 2, 3):
        house.people.observe("f2", estimate(observations), view(1))
        house.wait(0.5)
        house.publish()
    assert house.store.get(user_id).observations == 3 + 3


def test_who_did_not_agree_is_never_recognised(house: House) -> None:
    house.people.observe("f1", estimate(3), view(1))
    house.people.lose(["f1"])
    for observations in (1, 2, 3, 4):
        house.people.observe("f2", estimate(observations), view(1))
    assert house.people.profile_of_face("f2").user_id == "person_2"


def test_views_of_another_recogniser_name_nobody(house: House) -> None:
    grant(house, "f1", seed=1)
    house.people.lose(["f1"])
    other = type(view(1))(view(1).embedding, "x" * 64)
    for observations in (1, 2, 3):
        house.people.observe("f2", estimate(observations), other)
    assert house.people.profile_of_face("f2").user_id == "person_2"


def test_an_estimate_that_starts_anew_is_another_person(house: House) -> None:
    user_id = grant(house, "f1", seed=1)
    house.people.observe("f1", estimate(1), view(2))
    assert house.people.profile_of_face("f1").user_id != user_id
    house.wait(0.3)
    assert house.store.get(user_id).observations == 3


def test_a_track_that_shows_somebody_else_is_another_person(house: House) -> None:
    user_id = grant(house, "f1", seed=1)
    house.people.observe("f1", None, view(2))
    assert house.people.profile_of_face("f1").user_id == user_id
    house.people.observe("f1", None, view(2))
    assert house.people.profile_of_face("f1").user_id != user_id
    house.people.lose(["f1"])
    (match,) = house.store.candidates(view(1).embedding, view(1).model_digest)
    assert match.similarity == pytest.approx(1.0, abs=1e-3)


def test_withdrawing_deletes_and_ends_the_description(house: House) -> None:
    user_id = grant(house, "f1", seed=1)
    profile = house.people.set_consent(user_id, WITHDRAWN, "self", "said no")
    house.people.observe("f1", estimate(4), view(1))
    house.wait(1.0)
    profile = house.publish()[user_id]
    assert (profile.consent, profile.demographics, profile.observations) == (WITHDRAWN, (), 0)
    assert house.kinds(user_id)[-2:] == ["consent_changed", "forgotten"]
    assert house.store.candidates(view(1).embedding, view(1).model_digest) == []


@pytest.mark.parametrize("refused_after", [0, 5])
def test_what_was_seen_during_a_refusal_is_never_stored(house: House, refused_after: int) -> None:
    house.people.observe("f1", estimate(refused_after) if refused_after else None)
    house.people.set_consent("person_1", Consent.DENIED, "self", "said no")
    for observations in range(refused_after + 1, 60):
        house.people.observe("f1", estimate(observations))
    house.people.set_consent("person_1", GRANTED, "self", "said yes")
    house.people.observe("f1", estimate(60))
    house.wait(1.0)
    assert house.publish()["person_1"].observations == 0
    house.people.observe("f1", estimate(1))
    assert house.people.profile_of_face("f1").user_id == "person_2"
    assert house.people.profile_of_face("f1").observations == 1
    house.people.lose(["f1"])
    house.people.match("f2", "person_1", 0.9)
    house.people.observe("f2", estimate(2))
    house.wait(0.3)
    house.publish()
    assert house.store.get("person_1").observations == 2


def test_a_refusal_through_a_merge_holds_for_what_is_in_view(house: House) -> None:
    for face_id, observations in (("f1", 3), ("f2", 4)):
        house.people.observe(face_id, estimate(observations))
        house.now += 1.0
    house.people.set_consent("person_1", Consent.DENIED, "self", "said no")
    house.people.merge("person_1", "person_2", "operator")
    house.people.set_consent("person_1", GRANTED, "self", "said yes")
    for face_id in ("f1", "f2"):
        house.people.observe(face_id, estimate(9))
    house.publish()
    assert house.store.get("person_1").observations == 0


def test_a_forgotten_person_in_view_is_a_stranger_again(house: House) -> None:
    user_id = grant(house, "f1", seed=1)
    house.store.forget(user_id, "self")
    house.people.observe("f1", estimate(4), view(1))
    assert house.people.profile_of_face("f1").user_id == "person_2"
    assert house.people.profile_of_face("f1").observations == 0
    assert house.people.profile(user_id) is None


def test_a_candidate_match_brings_the_stored_profile(house: House) -> None:
    user_id = grant(house, "f1", seed=1)
    house.people.lose(["f1"])
    house.wait(1.0)
    house.publish()
    house.people.match("f2", user_id, 0.9)
    house.wait(0.3)
    assert house.publish()[user_id].face_id == "f2"
    house.people.match("f2", user_id, 0.0)
    house.wait(0.3)
    assert house.publish()[user_id].face_id == ""


@pytest.mark.parametrize("bad", ["Ada Lovelace!", "3f2a77aa-1111-4444", "a\n", "", "a" * 65])
def test_an_id_that_fits_no_topic_is_refused_and_changes_nothing(house: House, bad: str) -> None:
    house.people.observe("f1", estimate(1))
    with pytest.raises(StoreError, match="user_id"):
        house.people.match("f1", bad, 0.9)
    assert house.people.in_view == {"person_1": "f1"}
    assert house.publish()["person_1"].observations == 1
    assert house.people.store_calls.failures == 0


def test_a_match_with_a_merged_id_names_who_remains(house: House) -> None:
    first = grant(house, "f1", seed=1)
    house.now += 1.0
    second = grant(house, "f2", seed=2)
    house.people.merge(first, second, "operator")
    house.people.lose(["f1", "f2"])
    house.people.match("f3", second, 0.9)
    house.wait(0.3)
    assert house.people.in_view == {first: "f3"}
    assert house.publish()[first].face_id == "f3"
    house.people.match("f3", second, 0.0)
    assert first not in house.people.in_view


def test_passers_by_leave_nothing_on_the_disk(house: House) -> None:
    house.people.see(["f1"])
    house.wait(0.1)
    house.people.lose(["f1"])
    house.people.see(["f2"])
    house.wait(60.0)
    house.people.observe("f3", estimate(1))
    house.people.match("f3", "somebody_else", 0.9)
    assert house.kinds("person_1") == ["created", "forgotten"]
    assert house.store.audit_log() == ()


def test_a_merge_leaves_one_person_under_both_ids(house: House) -> None:
    first = grant(house, "f1", seed=1)
    house.now += 1.0
    second = grant(house, "f2", seed=2)
    merged = house.people.merge(second, first, "operator")
    assert merged.user_id == first
    assert house.people.profile(second).user_id == first
    assert {profile.user_id for profile in house.publish().values()} >= {first}


def test_silent_faces_leave_the_view(house: House) -> None:
    house.people.observe("f1", estimate(1))
    house.publish()
    house.wait(5.0)
    assert house.people.in_view == {}
    assert house.publish()["person_1"].face_id == ""


def test_a_face_without_any_estimate_leaves_nothing_behind(house: House) -> None:
    house.people.see(["f1"])
    house.wait(0.1)
    assert house.publish()["person_1"].demographics == ()
    house.people.lose(["f1"])
    assert house.store.find("person_1") is None


def test_a_locked_database_loses_no_evidence(house: House, tmp_path: Path) -> None:
    user_id = grant(house, "f1", seed=1)
    house.publish()
    other = sqlite3.connect(house.store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    house.now += 1.0
    house.people.observe("f1", estimate(7), view(1))
    assert house.publish()[user_id].observations == 7
    assert (house.people.store_calls.failures, house.people.unsaved) == (1, 1)
    assert "locked" in house.people.store_calls.last_failure
    other.execute("ROLLBACK")
    for _ in range(4):
        house.people.see(["f1"])
        house.wait(2.0)
        house.publish()
    assert (house.people.unsaved, house.people.store_calls.last_failure) == (0, "")
    assert house.store.get(user_id).observations == 7
