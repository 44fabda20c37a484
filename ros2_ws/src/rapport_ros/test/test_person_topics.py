"""Persons of REP 155 in the live graph: candidate matches in, persons out, latched as libhri expects them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from persons import House
from rclpy.node import Node
from std_msgs.msg import Bool, String

from rapport_msgs import srv
from rapport_ros import rep155
from rapport_ros.qos import LATCHED, RESULTS

hri = pytest.importorskip("hri_msgs.msg", reason="hri_msgs is not installed: apt install ros-jazzy-hri-msgs")
pytestmark = pytest.mark.live


@pytest.fixture
def house(graph: Any, tmp_path: Path) -> House:
    return House(graph, tmp_path / "profiles.sqlite")


def send_match(house: House, person: str, face: str, confidence: float) -> None:
    publisher = house.perception.create_publisher(hri.IdsMatch, rep155.CANDIDATE_MATCHES, RESULTS)
    house.graph.wait_for(publisher.get_subscription_count, "the store to listen to matches")
    kinds = {"id1_type": hri.IdsMatch.PERSON, "id2_type": hri.IdsMatch.FACE}
    publisher.publish(hri.IdsMatch(id1=person, id2=face, confidence=confidence, **kinds))


def test_a_candidate_match_names_the_person(house: House) -> None:
    user_id = house.consenting("f1")
    house.perception.faces(["f2"], removed=["f1"])
    house.profile(lambda p: p.user_id == user_id and not p.face_id, "a profile out of sight")
    send_match(house, user_id, "f2", 0.8)
    house.profile(lambda p: p.user_id == user_id and p.face_id == "f2", "the person in the other face")
    send_match(house, user_id, "f2", 0.0)
    house.profile(lambda p: p.user_id == user_id and not p.face_id, "the person out of sight again")


@pytest.mark.parametrize("person", ["3f2a77aa-1111-4444", "a\n"])
def test_a_match_with_a_malformed_id_is_dropped_and_counted(house: House, person: str) -> None:
    user_id = house.consenting("f1")
    reports = house.graph.collect(house.listener, DiagnosticArray, "/diagnostics", 10)
    tracked = house.graph.collect(house.listener, hri.IdsList, rep155.PERSONS_TRACKED, LATCHED)
    send_match(house, person, "f1", 0.9)
    reason = "dropped candidate match with a malformed person id"
    house.graph.wait_for(
        lambda: any(v.key == reason and v.value == "1" for r in list(reports) for s in r.status for v in s.values),
        "the drop in the diagnostics",
    )
    assert all(s.level == DiagnosticStatus.OK for r in list(reports) for s in r.status)
    assert {user_id} == {listed for message in tracked for listed in message.ids}


def test_persons_are_latched_for_who_comes_late(house: House) -> None:
    user_id = house.consenting("f1")
    late = house.graph.add(Node("late"))
    collect = house.graph.collect
    tracked = collect(late, hri.IdsList, rep155.PERSONS_TRACKED, LATCHED)
    known = collect(late, hri.IdsList, rep155.PERSONS_KNOWN, LATCHED)
    anonymous = collect(late, Bool, rep155.person_topic(user_id, "anonymous"), LATCHED)
    face = collect(late, String, rep155.person_topic(user_id, "face_id"), LATCHED)
    house.graph.wait_for(lambda: anonymous and not anonymous[-1].data, "a person who is not anonymous")
    house.graph.wait_for(lambda: face and face[-1].data == "f1", "the person's face")
    house.graph.wait_for(lambda: tracked and list(tracked[-1].ids) == [user_id], "the person in view")
    house.graph.wait_for(lambda: known and list(known[-1].ids) == [user_id], "the known person")


def test_a_forgotten_person_is_no_longer_handed_out(house: House) -> None:
    user_id = house.consenting("f1")
    house.perception.faces([], removed=["f1"])
    assert house.call(srv.ForgetUser, "forget_user", user_id=user_id).success
    topic = rep155.person_topic(user_id, "anonymous")
    house.graph.wait_for(lambda: house.listener.count_publishers(topic) == 0, "the person's topics to end")


def test_a_merged_person_keeps_an_alias(house: House) -> None:
    first, second = house.consenting("f1"), house.consenting("f2")
    assert house.call(srv.MergeUsers, "merge_users", user_id=first, other_user_id=second).success
    alias = house.graph.collect(house.listener, String, rep155.person_topic(second, "alias"), LATCHED)
    house.graph.wait_for(lambda: alias and alias[-1].data == first, "the alias")
