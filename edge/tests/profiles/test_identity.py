"""Who is who: anonymous by default, candidate matches of REP 155, recognition with hysteresis."""

from __future__ import annotations

from itertools import count

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport_edge.profiles.identity import Candidate, IdentityMap, IdentitySettings, IdentitySource, new_person_id

SURE = [Candidate("ada", 0.8)]


def numbered_map(**values: float) -> IdentityMap:
    numbers = count(1)
    return IdentityMap(msgspec.convert(values, IdentitySettings), 0.55, lambda: f"person_{next(numbers)}")


def who(people: IdentityMap, face_id: str) -> str:
    return people.identities()[face_id].user_id


def test_nobody_is_recognised_by_default() -> None:
    people = numbered_map()
    people.see("f1")
    people.see("f2")
    people.see("f1")
    assert (who(people, "f1"), who(people, "f2")) == ("person_1", "person_2")
    assert people.identities()["f1"].source is IdentitySource.TRACK


def test_a_returning_track_id_is_a_new_person() -> None:
    people = numbered_map()
    people.see("f1")
    people.remove("f1")
    people.see("f1")
    assert who(people, "f1") == "person_2"


@pytest.mark.parametrize(("confidence", "expected"), [(0.49, "person_1"), (0.5, "ada"), (1.0, "ada")])
def test_a_match_counts_from_the_threshold_on(confidence: float, expected: str) -> None:
    people = numbered_map()
    people.match("f1", "ada", confidence)
    assert who(people, "f1") == expected


def test_confidence_zero_ends_an_association() -> None:
    people = numbered_map()
    people.match("f1", "ada", 0.9)
    people.match("f1", "ada", 0.0)
    assert who(people, "f1") == "person_1"


@pytest.mark.parametrize("confidence", [float("nan"), -0.1, 1.5])
def test_a_confidence_out_of_range_is_ignored(confidence: float) -> None:
    people = numbered_map()
    people.match("f1", "ada", 0.9)
    people.match("f1", "bob", confidence)
    assert who(people, "f1") == "ada"


def test_the_highest_confidence_resolves_a_conflict() -> None:
    people = numbered_map()
    people.match("f1", "ada", 0.7)
    people.match("f1", "bob", 0.6)
    people.match("f2", "ada", 0.9)
    assert (who(people, "f1"), who(people, "f2")) == ("bob", "ada")


def test_recognition_needs_agreeing_views_in_a_row() -> None:
    people = numbered_map(agreeing_views=3)
    for candidates in (SURE, SURE, [Candidate("bob", 0.9)], SURE, SURE):
        people.recognise("f1", candidates)
    assert who(people, "f1") == "person_1"
    people.recognise("f1", SURE)
    assert who(people, "f1") == "ada"
    assert people.identities()["f1"].source is IdentitySource.RECOGNITION


def test_a_view_of_nobody_breaks_the_row() -> None:
    people = numbered_map(agreeing_views=2)
    for candidates in (SURE, [], SURE, [Candidate("ada", 0.5)], SURE):
        people.recognise("f1", candidates)
    assert who(people, "f1") == "person_1"


def test_two_similar_persons_name_nobody() -> None:
    people = numbered_map(agreeing_views=1)
    people.recognise("f1", [Candidate("bob", 0.78), Candidate("ada", 0.8)])
    assert who(people, "f1") == "person_1"


def test_a_recognised_identity_flips_only_after_a_break() -> None:
    people = numbered_map(agreeing_views=1)
    people.recognise("f1", SURE)
    people.recognise("f1", [Candidate("bob", 0.99)])
    assert who(people, "f1") == "ada"
    people.break_identity("f1")
    people.recognise("f1", [Candidate("bob", 0.99)])
    assert who(people, "f1") == "bob"


def test_a_person_in_view_is_not_recognised_in_a_second_face() -> None:
    people = numbered_map(agreeing_views=1)
    people.see("f1")
    people.recognise("f2", [Candidate(who(people, "f1"), 0.99)])
    assert who(people, "f1") == "person_1"
    assert who(people, "f2") == "person_2"


def test_a_forgotten_person_leaves_no_evidence() -> None:
    people = numbered_map(agreeing_views=1)
    people.recognise("f1", SURE)
    people.match("f2", "bob", 0.9)
    people.forget("ada")
    people.forget("bob")
    people.forget("person_1")
    assert not {"ada", "bob", "person_1"} & {identity.user_id for identity in people.identities().values()}


def test_a_merge_renames_the_evidence() -> None:
    people = numbered_map(agreeing_views=1)
    people.see("f1")
    people.recognise("f2", SURE)
    people.rename("person_1", "bob")
    people.rename("ada", "eve")
    assert (who(people, "f1"), who(people, "f2")) == ("bob", "eve")


def test_person_ids_are_unique_and_fit_into_topic_names() -> None:
    ids = {new_person_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(i.isidentifier() for i in ids)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["x", "y", "z"]), st.floats(0, 1))))
def test_no_person_ever_has_two_faces(matches: list[tuple[str, str, float]]) -> None:
    people = numbered_map()
    for face_id, user_id, confidence in matches:
        people.match(face_id, user_id, confidence)
        identities = people.identities()
        assert len({identity.user_id for identity in identities.values()}) == len(identities)
        assert identities == people.identities()
