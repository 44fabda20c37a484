"""RankItems in a live graph: what a person chose is stored if they agreed, and decides what is suggested next."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from persons import store_node
from ranked_persons import Listener
from rclpy.lifecycle import TransitionCallbackReturn
from tiny_bundle import write_tiny

from rapport_edge.ranking import InterestRanker
from rapport_edge.store import ProfileReader
from rapport_msgs import srv
from rapport_msgs.msg import ContentItem, Interaction, UserProfile
from rapport_ros.profile_messages import candidate_item

pytestmark = pytest.mark.live


@pytest.fixture
def house(graph: Any, tmp_path: Path) -> Listener:
    return Listener(graph, tmp_path)


def test_who_agreed_is_suggested_what_resembles_their_choices(house: Listener) -> None:
    user_id = house.consenting()
    house.does(user_id, "stars")
    house.does(user_id, "soup", Interaction.SKIPPED)
    house.graph.wait_for(lambda: len(house.stored(user_id)) == 2, "both interactions in the store")
    answer = house.rank(user_id, requester="dialogue")
    assert (answer.success, answer.message) == (True, "")
    assert [item.item_id for item in answer.items] == ["stars", "planets", "new", "bread", "soup"]
    assert [item.rank for item in answer.items] == [1, 2, 3, 4, 5]
    second = answer.items[1]
    assert (second.title, second.reason) == ("Planets", "resembles Stars (0.80)")
    assert 0.0 < second.score < answer.items[0].score < 1.0
    with ProfileReader.beside_owner(house.database) as reader:
        entry = next(entry for entry in reader.audit_log() if entry.action == "rank")
    assert (entry.actor, entry.user_id, entry.outcome) == ("dialogue", user_id, "5 items")


def test_candidates_of_the_request_are_ranked_also_unknown_ones(house: Listener) -> None:
    user_id = house.consenting()
    house.does(user_id, "stars")
    house.graph.wait_for(lambda: house.stored(user_id), "the interaction in the store")
    items = [
        ContentItem(id="stew", title="Stew", categories=["food"]),
        ContentItem(id="galaxy", title="Galaxy", categories=["astronomy"]),
    ]
    answer = house.rank(user_id, items, limit=1)
    assert [(item.item_id, item.title) for item in answer.items] == [("galaxy", "Galaxy")]
    assert answer.items[0].reason == "category astronomy, as 1 of 1 in the history"


def test_without_consent_nothing_is_stored_and_the_ranking_is_nobodys(house: Listener) -> None:
    stranger, person = house.person("f1"), house.consenting("f2")
    house.does(stranger, "stars")
    house.does("person_nobody", "stars")
    house.does(person, "stars", kind=99)
    for reason in ("interaction without consent", "interaction of nobody known", "interaction of an unknown kind"):
        house.graph.wait_for(lambda reason=reason: house.dropped(reason) == 1, reason)
    answer = house.rank(stranger)
    assert answer.success
    assert "consent is unknown" in answer.message
    assert [item.item_id for item in answer.items] == ["bread", "soup", "planets", "stars", "new"]
    assert {item.reason for item in answer.items} == {""}


def test_profiles_suggest_what_the_person_would_be_ranked_first(house: Listener) -> None:
    user_id = house.consenting()
    assert not house.profile(lambda p: p.user_id == user_id, "a profile").suggestions
    house.does(user_id, "stars")
    found = house.profile(lambda p: p.user_id == user_id and p.suggestions, "suggestions in the profile")
    assert [(item.rank, item.item_id) for item in found.suggestions] == [(1, "stars"), (2, "planets"), (3, "new")]
    assert "Could be offered Stars, Planets and A new comet." in found.summary
    house.does(user_id, "soup")
    house.profile(lambda p: "soup" in [item.item_id for item in p.suggestions], "other suggestions")


def test_profiles_do_not_wait_for_a_ranking(house: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither for one that was asked for, nor for the one of suggestions."""
    user_id = house.consenting()
    whole, go_on = InterestRanker.rank, threading.Event()
    under_way = threading.Semaphore(0)

    def slow(*arguments: Any, **options: Any) -> Any:
        under_way.release()
        assert go_on.wait(60.0)
        return whole(*arguments, **options)

    monkeypatch.setattr(InterestRanker, "rank", slow)
    client = house.listener.create_client(srv.RankItems, "/profile_store/rank_items")
    assert client.wait_for_service(20.0)
    answer = client.call_async(srv.RankItems.Request(requester="dialogue", user_id=user_id))
    house.graph.wait_for(lambda: under_way.acquire(blocking=False), "the ranking")
    house.does(user_id, "stars")
    house.graph.wait_for(lambda: house.stored(user_id), "the interaction in the store")
    assert house.person("f2") != user_id
    assert not answer.done()
    go_on.set()
    house.graph.wait_for(answer.done, "the answer")
    assert answer.result().success
    house.profile(lambda p: p.user_id == user_id and p.suggestions, "suggestions in the profile")


def test_who_asks_for_a_profile_gets_suggestions_as_of_now(house: Listener) -> None:
    user_id = house.consenting()
    for item in ("stars", "soup"):
        house.does(user_id, item)
        house.graph.wait_for(lambda item=item: item in house.stored(user_id), "the interaction in the store")
        found = house.call(srv.GetProfile, "get_profile", user_id=user_id).profile
        assert item in [suggestion.item_id for suggestion in found.suggestions]


def test_suggestions_can_be_switched_off(graph: Any, tmp_path: Path) -> None:
    house = Listener(graph, tmp_path, rank__suggestions=0)
    user_id = house.consenting()
    house.does(user_id, "stars")
    house.graph.wait_for(lambda: house.stored(user_id), "the interaction in the store")
    published = len(house.profiles)
    house.perception.estimate("f1")
    house.graph.wait_for(lambda: len(house.profiles) > published, "another profile")
    assert not house.profiles[-1].suggestions


def test_categories_and_language_fill_the_fields_of_these_names() -> None:
    item = candidate_item(ContentItem(id="a", title="A", categories=["astronomy", "news"], language="en"))
    assert item.fields == {"category": ("astronomy", "news"), "language": ("en",)}
    assert candidate_item(ContentItem(id="a")).fields == {}


def test_who_withdraws_is_nobody_again(house: Listener) -> None:
    user_id = house.consenting()
    house.does(user_id, "stars")
    house.graph.wait_for(lambda: house.stored(user_id), "the interaction in the store")
    assert house.rank(user_id, limit=1).items[0].item_id == "stars"
    withdrawn = UserProfile.CONSENT_WITHDRAWN
    assert house.call(srv.SetConsent, "set_consent", user_id=user_id, consent=withdrawn, evidence="said no").success
    answer = house.rank(user_id, limit=1)
    assert ([item.item_id for item in answer.items], "consent is withdrawn" in answer.message) == (["bread"], True)


def test_what_cannot_be_ranked_is_refused_with_the_reason(house: Listener) -> None:
    user_id = house.consenting()
    for answer, reason in (
        (house.rank("person_x"), "nobody is known"),
        (house.rank(user_id, [ContentItem(title="Nameless")]), "no id (its title is 'Nameless')"),
    ):
        assert not answer.success
        assert reason in answer.message


def test_a_bundle_that_ranks_nothing_refuses_to_configure(graph: Any, tmp_path: Path) -> None:
    faces = write_tiny(tmp_path / "faces").path
    for parameters, reason in (
        ({"rank.bundle_path": "/nowhere"}, "no such folder"),
        ({"rank.bundle_path": str(faces)}, "not an interest-ranker"),
        ({"rank.centre": "/somewhere"}, "rank.bundle_path"),
    ):
        node = graph.add(store_node(tmp_path / "p.sqlite", **parameters))
        assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
        assert reason in node.refusal
