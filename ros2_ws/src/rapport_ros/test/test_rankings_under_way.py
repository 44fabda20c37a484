"""What happens to persons and to the node while a ranking is under way."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from ranked_persons import Listener
from rclpy.lifecycle import TransitionCallbackReturn

from rapport_edge.ranking import InterestRanker
from rapport_msgs import srv
from rapport_msgs.msg import UserProfile

pytestmark = pytest.mark.live


class Held:
    """Rankings that wait until they may go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.go_on = threading.Semaphore(0), threading.Event()
        whole = InterestRanker.rank

        def held(*arguments: Any, **options: Any) -> Any:
            ranked = whole(*arguments, **options)
            self.begun.release()
            assert self.go_on.wait(60.0)
            return ranked

        monkeypatch.setattr(InterestRanker, "rank", held)


SERVICES = {srv.RankItems: "rank_items", srv.GetProfile: "get_profile"}


def asked(house: Listener, user_id: str, kind: Any = srv.RankItems) -> Any:
    """The future of an answer."""
    client = house.listener.create_client(kind, f"/profile_store/{SERVICES[kind]}")
    assert client.wait_for_service(20.0)
    return client.call_async(kind.Request(requester="dialogue", user_id=user_id))


def with_history(house: Listener) -> str:
    user_id = house.consenting()
    house.does(user_id, "stars")
    house.profile(lambda p: p.user_id == user_id and p.suggestions, "suggestions in the profile")
    return user_id


@pytest.fixture
def house(graph: Any, tmp_path: Path) -> Listener:
    return Listener(graph, tmp_path)


def test_who_withdraws_during_a_ranking_is_ranked_as_nobody(house: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    user_id = with_history(house)
    held = Held(monkeypatch)
    answer = asked(house, user_id)
    house.graph.wait_for(lambda: held.begun.acquire(blocking=False), "the ranking")
    withdrawn = UserProfile.CONSENT_WITHDRAWN
    assert house.call(srv.SetConsent, "set_consent", user_id=user_id, consent=withdrawn, evidence="said no").success
    held.go_on.set()
    house.graph.wait_for(answer.done, "the answer")
    assert "consent is withdrawn" in answer.result().message
    assert {item.reason for item in answer.result().items} == {""}


def test_who_is_forgotten_during_a_ranking_is_nobody_to_rank_for(
    house: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_id = with_history(house)
    held = Held(monkeypatch)
    answer = asked(house, user_id)
    house.graph.wait_for(lambda: held.begun.acquire(blocking=False), "the ranking")
    assert house.call(srv.ForgetUser, "forget_user", user_id=user_id).success
    held.go_on.set()
    house.graph.wait_for(answer.done, "the answer")
    assert not answer.result().success
    assert not answer.result().items
    assert "nobody is known" in answer.result().message


@pytest.mark.parametrize("kind", [srv.RankItems, srv.GetProfile])
@pytest.mark.parametrize(
    "transitions",
    [("deactivate", "activate"), ("deactivate", "cleanup", "configure", "activate")],
    ids=["inactive", "unconfigured"],
)
def test_a_node_that_stops_during_a_ranking_works_again_afterwards(
    house: Listener, monkeypatch: pytest.MonkeyPatch, transitions: tuple[str, ...], kind: Any
) -> None:
    user_id = with_history(house)
    held = Held(monkeypatch)
    house.does(user_id, "soup")
    house.graph.wait_for(lambda: "soup" in house.stored(user_id), "the interaction in the store")
    asked(house, user_id, kind)
    house.graph.wait_for(lambda: held.begun.acquire(blocking=False), "the ranking")
    threading.Timer(0.5, held.go_on.set).start()
    for transition in transitions:
        assert getattr(house.node, f"trigger_{transition}")() == TransitionCallbackReturn.SUCCESS, house.node.refusal
    assert house.rank(user_id).success
    found = house.call(srv.GetProfile, "get_profile", user_id=user_id)
    assert "soup" in [suggestion.item_id for suggestion in found.profile.suggestions]


def test_a_mistake_in_the_ranker_leaves_nobody_without_an_answer(
    house: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_id = house.consenting()

    def mistaken(*_: Any, **__: Any) -> Any:
        raise IndexError("row 7")

    monkeypatch.setattr(InterestRanker, "rank", mistaken)
    house.does(user_id, "stars")
    house.graph.wait_for(lambda: house.stored(user_id), "the interaction in the store")
    found = house.call(srv.GetProfile, "get_profile", user_id=user_id)
    assert (found.success, list(found.profile.suggestions)) == (True, [])
    answer = house.rank(user_id)
    assert (answer.success, answer.message) == (False, "rank failed: IndexError: row 7")
