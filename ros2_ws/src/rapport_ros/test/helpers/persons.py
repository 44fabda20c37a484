"""What the live tests of profile_store share: messages as perception sends them, a node that is running, a client."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_msgs.msg import Header

from rapport_edge.faces import AgeEstimate, AttributeEstimate, DemographicEstimate
from rapport_msgs import msg, srv
from rapport_msgs.msg import ProfileEvent, UserProfile
from rapport_ros.conversions import estimate_to_msg, floats
from rapport_ros.profile_store_node import ProfileStoreNode
from rapport_ros.profile_topics import PROFILES
from rapport_ros.qos import RESULTS

FRAME_ID = "camera_optical_frame"


def unit(seed: int) -> np.ndarray:
    """Unit vectors that are orthogonal for different seeds below 8."""
    return np.eye(8, dtype=np.float32)[seed]


def estimate(observations: int = 3) -> DemographicEstimate:
    """A woman of about 31."""
    bins = AttributeEstimate("age", ("20-29", "30-39"), np.array([0.4, 0.6], np.float32), "30-39", 0.6)
    gender = AttributeEstimate("gender", ("Female", "Male"), np.array([0.9, 0.1], np.float32), "Female", 0.9)
    age = AgeEstimate(bins, 31.0, 4.0, 26.0, 36.0)
    return DemographicEstimate(age, {"gender": gender}, unit(0), observations, "d" * 64)


class Perception(Node):
    """Says what face_perception would say."""

    def __init__(self) -> None:
        super().__init__("perception")
        self._estimates = self.create_publisher(msg.DemographicEstimate, "demographics", RESULTS)
        self._faces = self.create_publisher(msg.FaceArray, "faces", RESULTS)

    def header(self) -> Header:
        return Header(stamp=self.get_clock().now().to_msg(), frame_id=FRAME_ID)

    @property
    def connected(self) -> bool:
        return all(publisher.get_subscription_count() > 0 for publisher in (self._estimates, self._faces))

    def send(self, message: msg.DemographicEstimate) -> None:
        self._estimates.publish(message)

    def estimate(self, face_id: str = "f1", observations: int = 3, identity: Any = None, digest: str = "") -> Header:
        """One estimate; returns its header."""
        message = estimate_to_msg(estimate(observations), face_id, self.header())
        if identity is not None:
            message.identity_embedding, message.identity_model_digest = floats(identity), digest
        self._estimates.publish(message)
        return message.header

    def faces(self, in_view: list[str], removed: list[str] | None = None) -> None:
        faces = [msg.Face(id=face_id, measured=True) for face_id in in_view]
        self._faces.publish(msg.FaceArray(header=self.header(), faces=faces, removed=removed or []))


def store_node(database: Path, **parameters: Any) -> ProfileStoreNode:
    """The node on a database of the test; faces stay in view for long, so that a busy machine changes nothing."""
    chosen: dict[str, Any] = {"database": str(database), "persons.face_timeout": 60.0}
    chosen |= {name.replace("__", "."): value for name, value in parameters.items()}
    return ProfileStoreNode(parameter_overrides=[Parameter(name, value=value) for name, value in chosen.items()])


def bring_up(node: ProfileStoreNode) -> ProfileStoreNode:
    """Configures and activates."""
    assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS, node.refusal
    assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS, node.refusal
    return node


class Client:
    """A perception that feeds a profile_store, and somebody who listens and asks."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.perception = graph.add(Perception())
        self.listener = graph.add(Node("listener"))
        self.profiles = graph.collect(self.listener, UserProfile, "profiles", PROFILES)
        self.events = graph.collect(self.listener, ProfileEvent, "profile_events", RESULTS)
        graph.wait_for(lambda: self.perception.connected, "the store to subscribe")
        graph.wait_for(lambda: self.listener.count_publishers("profile_events"), "the store's topics")

    def call(self, kind: Any, name: str, **fields: Any) -> Any:
        """The response of one service."""
        client = self.listener.create_client(kind, f"/profile_store/{name}")
        assert client.wait_for_service(20.0), name
        future = client.call_async(kind.Request(requester=fields.pop("requester", "test"), **fields))
        self.graph.wait_for(future.done, f"an answer of {name}")
        self.listener.destroy_client(client)
        return future.result()

    def profile(self, condition: Callable[[UserProfile], bool], what: str) -> UserProfile:
        """The newest published profile that fulfils a condition."""
        return self.graph.wait_for(lambda: next((p for p in reversed(self.profiles) if condition(p)), None), what)

    def person(self, face_id: str = "f1") -> str:
        """Sends an estimate of a face and returns who it is."""
        self.perception.estimate(face_id)
        return self.profile(lambda p: p.face_id == face_id, f"a profile of {face_id}").user_id

    def consenting(self, face_id: str = "f1") -> str:
        """A person who said yes."""
        user_id = self.person(face_id)
        answer = self.call(
            srv.SetConsent, "set_consent", user_id=user_id, consent=UserProfile.CONSENT_GRANTED, evidence="said yes"
        )
        assert answer.success, answer.message
        return user_id

    def kinds(self, user_id: str) -> list[int]:
        return [event.kind for event in self.events if event.user_id == user_id]


class House(Client):
    """The same with a profile_store in this process."""

    def __init__(self, graph: Any, database: Path, **parameters: Any) -> None:
        self.database = database
        self.node = bring_up(graph.add(store_node(database, **parameters)))
        super().__init__(graph)
