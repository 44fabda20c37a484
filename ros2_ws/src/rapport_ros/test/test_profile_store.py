"""The node profile_store in a live graph: estimates in, profiles out, and everything a person may demand."""

from __future__ import annotations

import json
import math
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from persons import FRAME_ID, Client, House, bring_up, estimate, store_node, unit
from rclpy.action import ActionClient
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from tiny_bundle import write_tiny_recogniser

from rapport_edge.store import Consent, ProfileReader, ProfileStore
from rapport_msgs import action, srv
from rapport_msgs.msg import ProfileEvent, UserProfile
from rapport_ros.conversions import estimate_to_msg
from rapport_ros.profile_topics import PROFILES

pytestmark = pytest.mark.live

GRANTED, WITHDRAWN = UserProfile.CONSENT_GRANTED, UserProfile.CONSENT_WITHDRAWN


#: A process that runs the node until it is killed.
NODE_PROCESS = """
import sys, threading
from rapport_ros.profile_store_node import ProfileStoreNode
from rapport_ros.runner import NodeGroup, ros_context
with ros_context(["-p", f"database:={sys.argv[1]}"]), NodeGroup([ProfileStoreNode]):
    threading.Event().wait()
"""


@pytest.fixture
def house(graph: Any, tmp_path: Path) -> House:
    return House(graph, tmp_path / "profiles.sqlite")


def test_an_estimate_becomes_a_profile_with_the_images_stamp(house: House) -> None:
    header = house.perception.estimate("f1")
    profile = house.profile(lambda p: p.face_id == "f1", "a profile")
    assert (profile.header, profile.header.frame_id) == (header, FRAME_ID)
    assert (profile.anonymous, profile.consent) == (True, UserProfile.CONSENT_UNKNOWN)
    assert profile.demographics.age_known
    assert profile.demographics.age_mean == pytest.approx(31.0)
    assert [(a.name, a.label) for a in profile.demographics.attributes] == [("gender", "Female")]
    assert not profile.demographics.embedding
    assert "Looks about 26 to 36 years old." in profile.summary


def test_who_subscribes_late_gets_everybody_and_nobody_who_is_forgotten(house: House) -> None:
    first, second = house.person("f1"), house.consenting("f2")
    for observations in range(4, 60):
        house.perception.estimate("f2", observations)
    house.profile(lambda p: p.observations == 59, "the newest profile")
    late = house.graph.collect(house.graph.add(Node("late")), UserProfile, "profiles", PROFILES)
    house.graph.wait_for(lambda: {first, second} <= {p.user_id for p in late}, "both profiles")
    assert house.call(srv.ForgetUser, "forget_user", user_id=second).success
    house.graph.wait_for(lambda: ProfileEvent.FORGOTTEN in house.kinds(second), "the event")
    later = house.graph.collect(house.graph.add(Node("later")), UserProfile, "profiles", PROFILES)
    house.graph.wait_for(lambda: first in {p.user_id for p in later}, "the remaining profile")
    assert second not in {p.user_id for p in later}


def test_a_face_without_an_estimate_has_an_unknown_age(house: House) -> None:
    house.perception.faces(["f7"])
    profile = house.profile(lambda p: p.face_id == "f7", "a profile")
    assert not profile.demographics.age_known
    assert math.isnan(profile.demographics.age_mean)
    assert "Age: unknown." in profile.summary


def test_a_removed_track_leaves_the_view(house: House) -> None:
    user_id = house.person("f1")
    house.perception.faces([], removed=["f1"])
    house.profile(lambda p: p.user_id == user_id and p.face_id == "", "a profile out of sight")


def test_an_anonymous_person_expires_and_everybody_is_told(graph: Any, tmp_path: Path) -> None:
    house = House(graph, tmp_path / "p.sqlite", store__retention__anonymous_minutes=0.01, purge_interval=1.0)
    user_id = house.person("f1")
    house.perception.faces([], removed=["f1"])
    graph.wait_for(lambda: ProfileEvent.EXPIRED in house.kinds(user_id), "the event")
    assert not house.call(srv.GetProfile, "get_profile", user_id=user_id).success


def test_consent_moves_a_person_to_the_disk_and_withdrawing_deletes(house: House) -> None:
    user_id = house.consenting()
    with ProfileReader.beside_owner(house.database) as reader:
        assert reader.get(user_id).observations == 3
    answer = house.call(srv.SetConsent, "set_consent", user_id=user_id, consent=WITHDRAWN, evidence="said no")
    assert answer.success
    assert (answer.profile.anonymous, answer.profile.observations) == (True, 0)
    house.graph.wait_for(lambda: ProfileEvent.FORGOTTEN in house.kinds(user_id), "the event")
    house.perception.estimate("f1", 9)
    assert house.profile(lambda p: p.consent == WITHDRAWN, "a profile without traits").demographics.attributes == []
    with ProfileReader.beside_owner(house.database) as reader:
        assert reader.find(user_id) is None
        assert [record.outcome for record in reader.audit_log(user_id)] == [
            "granted to withdrawn",
            "unknown to granted",
        ]


def test_profiles_are_got_listed_and_exported(house: House) -> None:
    user_id = house.consenting("f1")
    stranger = house.person("f2")
    assert house.call(srv.GetProfile, "get_profile", user_id=user_id).profile.consent == GRANTED
    assert house.call(srv.GetProfile, "get_profile", face_id="f2").profile.user_id == stranger
    known = house.call(srv.ListProfiles, "list_profiles")
    assert ([p.user_id for p in known.profiles], known.total) == ([user_id], 1)
    everybody = house.call(srv.ListProfiles, "list_profiles", include_anonymous=True, limit=1)
    assert (len(everybody.profiles), everybody.total) == (1, 2)
    document = json.loads(house.call(srv.ExportUser, "export_user", user_id=user_id).json)
    assert document["profile"]["user_id"] == user_id
    assert {"get", "export", "consent"} <= {entry["action"] for entry in document["audit"]}
    house.graph.wait_for(lambda: ProfileEvent.EXPORTED in house.kinds(user_id), "the event")


def test_a_merge_is_told_and_both_ids_lead_to_one_person(house: House) -> None:
    first, second = house.consenting("f1"), house.consenting("f2")
    merged = house.call(srv.MergeUsers, "merge_users", user_id=first, other_user_id=second)
    assert (merged.success, merged.profile.user_id) == (True, first)
    house.graph.wait_for(lambda: ProfileEvent.MERGED in house.kinds(second), "the event")
    assert house.call(srv.GetProfile, "get_profile", user_id=second).profile.user_id == first


@pytest.mark.parametrize(
    ("kind", "name", "fields", "reason"),
    [
        (srv.GetProfile, "get_profile", {"user_id": "person_x"}, "nobody is known"),
        (srv.GetProfile, "get_profile", {"face_id": "f9"}, "no person is seen"),
        (srv.GetProfile, "get_profile", {}, "either user_id or face_id"),
        (srv.GetProfile, "get_profile", {"user_id": "person_x", "requester": " "}, "requester is empty"),
        (srv.SetConsent, "set_consent", {"user_id": "person_x", "consent": GRANTED}, "nobody is known"),
        (srv.SetConsent, "set_consent", {"user_id": "person_x", "consent": 9}, "none of UserProfile"),
        (srv.ForgetUser, "forget_user", {"user_id": "person_x"}, "nobody is known"),
        (srv.ExportUser, "export_user", {"user_id": "person_x"}, "nobody is known"),
        (srv.MergeUsers, "merge_users", {"user_id": "person_x", "other_user_id": "person_y"}, "nobody is known"),
        (srv.FindUsers, "find_users", {"sentence": "a man of about 60 years"}, "find.allowed_attributes is empty"),
        (srv.RankItems, "rank_items", {"user_id": "person_x"}, "interest-ranker"),
    ],
)  # fmt: skip
def test_refusals_say_why(house: House, kind: Any, name: str, fields: dict[str, Any], reason: str) -> None:
    answer = house.call(kind, name, **fields)
    assert not answer.success
    assert reason in answer.message
    with ProfileReader.beside_owner(house.database) as reader:
        (entry,) = reader.audit_log()
    assert entry.actor == (fields.get("requester", "test").strip() or "(unnamed)")
    assert entry.action in name
    assert (entry.user_id, entry.outcome.partition(":")[0]) == ("", "failed")


def test_a_person_is_recognised_through_the_named_bundle(graph: Any, tmp_path: Path) -> None:
    bundle = write_tiny_recogniser(tmp_path / "recogniser")
    house = House(graph, tmp_path / "p.sqlite", recognizer_bundle=str(bundle.path))
    house.perception.estimate("f1", 3, identity=unit(1), digest=bundle.digest)
    user_id = house.profile(lambda p: p.face_id == "f1", "a profile").user_id
    assert house.call(srv.SetConsent, "set_consent", user_id=user_id, consent=GRANTED).success
    house.perception.faces([], removed=["f1"])
    house.profile(lambda p: p.user_id == user_id and not p.face_id, "a profile out of sight")
    for observations in (1, 2, 3):
        house.perception.estimate("f2", observations, identity=unit(1), digest=bundle.digest)
    house.profile(lambda p: p.user_id == user_id and p.face_id == "f2", "the same person in another track")


def test_writing_a_profile_is_refused_with_a_reason(house: House) -> None:
    client = ActionClient(house.listener, action.WriteProfile, "/profile_store/write_profile")
    assert client.wait_for_server(20.0)
    sent = client.send_goal_async(action.WriteProfile.Goal(requester="test", user_id="person_1", texts=["hello"]))
    house.graph.wait_for(sent.done, "the goal's acceptance")
    result = sent.result().get_result_async()
    house.graph.wait_for(result.done, "the result")
    assert not result.result().result.success
    assert "profile-writer" in result.result().result.message
    client.destroy()


def test_messages_that_contradict_themselves_are_dropped_and_counted(house: House) -> None:
    for spoil in (
        lambda m: setattr(m, "age_mean", math.inf),
        lambda m: setattr(m.age, "probabilities", [0.5]),
        lambda m: setattr(m, "embedding", [3.0, 4.0]),
        lambda m: setattr(m, "face_id", ""),
        lambda m: setattr(m, "identity_embedding", [math.nan]),
    ):
        message = estimate_to_msg(estimate(), "f1", house.perception.header())
        spoil(message)
        house.perception.send(message)
    reports = house.graph.collect(house.listener, DiagnosticArray, "/diagnostics", 10)

    def dropped() -> int:
        values = {v.key: v.value for r in list(reports) for s in r.status for v in s.values}
        return sum(int(value) for key, value in values.items() if key.startswith("dropped"))

    house.graph.wait_for(lambda: dropped() == 5, "five drops in the diagnostics")
    assert house.person("f1")


def test_a_locked_database_keeps_profiles_and_turns_the_diagnostics_red(graph: Any, tmp_path: Path) -> None:
    house = House(graph, tmp_path / "p.sqlite", store__busy_timeout_s=0.05, persons__retry_interval=0.3)
    user_id = house.consenting()
    reports = graph.collect(house.listener, DiagnosticArray, "/diagnostics", 10)
    other = sqlite3.connect(house.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    house.perception.estimate("f1", 8)
    house.profile(lambda p: p.user_id == user_id and p.observations == 8, "a profile from memory")
    refused = house.call(srv.ExportUser, "export_user", user_id=user_id)
    assert (refused.success, "locked" in refused.message) == (False, True)
    level = DiagnosticStatus.ERROR
    graph.wait_for(lambda: any(s.level == level for r in list(reports) for s in r.status), "a red diagnosis")
    other.execute("ROLLBACK")

    def written() -> bool:
        with ProfileReader.beside_owner(house.database) as reader:
            return reader.get(user_id).observations == 8

    graph.wait_for(written, "the profile on the disk")
    graph.wait_for(lambda: reports[-1].status[0].level == DiagnosticStatus.OK, "a green diagnosis")


def test_a_second_node_on_one_database_is_refused(house: House) -> None:
    second = house.graph.add(store_node(house.database))
    assert second.trigger_configure() == TransitionCallbackReturn.FAILURE
    assert str(os.getpid()) in second.refusal


def test_a_database_that_cannot_be_used_refuses_to_configure(graph: Any, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.sqlite"
    damaged.write_bytes(b"no database" * 100)
    future = tmp_path / "future.sqlite"
    ProfileStore(future).close()
    with sqlite3.connect(future) as db:
        db.execute("PRAGMA user_version = 99")
    for path, reason in ((damaged, "damaged"), (future, "newer version"), (tmp_path, "not a file")):
        node = graph.add(store_node(path))
        assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
        assert reason in node.refusal


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"recognizer_bundle": "/nowhere"}, "no such folder"),
        ({"find.allowed_attributes": ["race"]}, "sentences may speak of gender, age"),
        ({"find.allowed_attributes": ["age"], "find.bundle_path": "/nowhere"}, "no such folder"),
        ({"identity.agreeing_views": 0}, "agreeing_views"),
        ({"databse": "x"}, "unknown parameter databse"),
    ],
)
def test_parameters_that_cannot_be_are_refused(
    graph: Any, tmp_path: Path, parameters: dict[str, Any], reason: str
) -> None:
    node = graph.add(store_node(tmp_path / "p.sqlite", **parameters))
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    assert reason in node.refusal


def test_a_stopped_node_starts_again_with_what_was_agreed(house: House) -> None:
    user_id = house.consenting()
    assert house.node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
    assert house.node.trigger_cleanup() == TransitionCallbackReturn.SUCCESS
    bring_up(house.node)
    assert house.call(srv.GetProfile, "get_profile", user_id=user_id).profile.observations == 3


def test_a_killed_process_loses_nothing_that_it_acknowledged(graph: Any, tmp_path: Path) -> None:
    database = tmp_path / "profiles.sqlite"
    process = subprocess.Popen([sys.executable, "-c", NODE_PROCESS, str(database)])
    try:
        client = Client(graph)
        acknowledged = [client.consenting(f"f{number}") for number in range(6)]
        for number in range(200):  # more writes than it can finish before it is killed
            client.perception.estimate(f"f{number % 6}", 4 + number)
    finally:
        process.kill()
        process.wait()
    with ProfileStore(database) as store:
        assert store.check() == []
        records = [store.get(user_id) for user_id in acknowledged]
    assert all(record.consent is Consent.GRANTED and record.observations >= 3 for record in records)
