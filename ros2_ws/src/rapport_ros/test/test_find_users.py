"""FindUsers in a live graph: who agreed to be remembered is found by a sentence, nobody else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from persons import House, estimate
from tiny_text import text_table, write_with_text

from rapport_edge.bundle import Bundle
from rapport_edge.store import ProfileReader
from rapport_msgs import srv
from rapport_msgs.msg import UserProfile
from rapport_ros.conversions import estimate_to_msg

pytestmark = pytest.mark.live

WOMAN, MAN, BABY = 2, 3, 4


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return write_with_text(tmp_path / "bundle")


@pytest.fixture
def house(graph: Any, tmp_path: Path, bundle: Bundle) -> House:
    parameters = {"find__bundle_path": str(bundle.path), "find__allowed_attributes": ["age", "gender"]}
    return House(graph, tmp_path / "profiles.sqlite", **parameters)


def seen(house: House, face_id: str, bundle: Bundle, word: int, *, consent: bool) -> str:
    """A person whose face looks like a word; returns who it is."""
    vector = text_table()[word] + 0.3 * text_table()[10]
    looks = replace(estimate(), embedding=vector / (vector @ vector) ** 0.5, model_digest=bundle.digest)
    house.perception.send(estimate_to_msg(looks, face_id, house.perception.header()))
    user_id = house.profile(lambda p: p.face_id == face_id, f"a profile of {face_id}").user_id
    if consent:
        answer = house.call(
            srv.SetConsent, "set_consent", user_id=user_id, consent=UserProfile.CONSENT_GRANTED, evidence="said yes"
        )
        assert answer.success, answer.message
    return user_id


def test_persons_are_found_by_a_sentence_best_first(house: House, bundle: Bundle) -> None:
    woman = seen(house, "f1", bundle, WOMAN, consent=True)
    man = seen(house, "f2", bundle, MAN, consent=True)
    stranger = seen(house, "f3", bundle, MAN, consent=False)
    answer = house.call(srv.FindUsers, "find_users", sentence="A happy man", requester="dialogue")
    assert answer.success, answer.message
    assert [profile.user_id for profile in answer.profiles] == [man, woman]
    assert stranger not in [profile.user_id for profile in answer.profiles]
    assert list(answer.scores) == sorted(answer.scores, reverse=True)
    assert answer.scores[0] == pytest.approx((1 + 0.3) / (3**0.5 * 1.09**0.5), abs=2e-3)
    assert answer.message == "not understood and left out: happy"
    assert not answer.profiles[0].demographics.embedding
    one = house.call(srv.FindUsers, "find_users", sentence="a woman", limit=1)
    assert [profile.user_id for profile in one.profiles] == [woman]
    with ProfileReader.beside_owner(house.database) as reader:
        entries = [entry for entry in reader.audit_log() if entry.action == "find"]
    assert [(entry.actor, entry.outcome) for entry in entries] == [("test", "1 profiles"), ("dialogue", "2 profiles")]


def test_who_withdraws_is_not_found_any_more(house: House, bundle: Bundle) -> None:
    woman = seen(house, "f1", bundle, WOMAN, consent=True)
    assert len(house.call(srv.FindUsers, "find_users", sentence="a woman").profiles) == 1
    withdrawn = UserProfile.CONSENT_WITHDRAWN
    assert house.call(srv.SetConsent, "set_consent", user_id=woman, consent=withdrawn, evidence="said no").success
    answer = house.call(srv.FindUsers, "find_users", sentence="a woman")
    assert (answer.success, list(answer.profiles)) == (True, [])


def test_embeddings_of_another_model_are_not_compared(house: House, bundle: Bundle) -> None:
    house.consenting("f1")
    seen(house, "f2", bundle, BABY, consent=True)
    answer = house.call(srv.FindUsers, "find_users", sentence="a baby")
    assert [profile.face_id for profile in answer.profiles] == ["f2"]


@pytest.mark.parametrize(
    ("sentence", "reason"),
    [
        ("a christian", "says nothing about gender or age (not known: christian)"),
        ("", "knows no word"),
        ("man " * 20, "has 22 tokens"),
    ],
)
def test_a_sentence_that_cannot_be_answered_is_refused_with_the_reason(
    house: House, sentence: str, reason: str
) -> None:
    answer = house.call(srv.FindUsers, "find_users", sentence=sentence)
    assert not answer.success
    assert reason in answer.message
    with ProfileReader.beside_owner(house.database) as reader:
        (entry,) = reader.audit_log()
    assert (entry.action, entry.outcome) == ("find", "failed: SentenceError")


def test_the_operator_decides_what_a_sentence_may_speak_of(graph: Any, tmp_path: Path, bundle: Bundle) -> None:
    parameters = {"find__bundle_path": str(bundle.path), "find__allowed_attributes": ["age"]}
    house = House(graph, tmp_path / "profiles.sqlite", **parameters)
    answer = house.call(srv.FindUsers, "find_users", sentence="a woman of 60")
    assert (answer.success, "speaks of gender" in answer.message) == (False, True)
    assert house.call(srv.FindUsers, "find_users", sentence="a baby").success
