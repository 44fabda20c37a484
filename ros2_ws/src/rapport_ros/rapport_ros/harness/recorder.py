"""The node that listens to what Rapport publishes, as a dialogue node or a visualiser would."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image

from rapport_edge.faces import ByteImage
from rapport_edge.images import decode_raw
from rapport_msgs.msg import FaceArray, ProfileEvent, UserProfile
from rapport_ros.conversions import stamp_to_seconds
from rapport_ros.harness.recording import AgeState, FacesReceived, GenderState, ProfileReceived, ProfileState, Recording
from rapport_ros.playback.messages import stamp_ns
from rapport_ros.profile_messages import CONSENT_FROM_MESSAGE
from rapport_ros.profile_topics import PROFILES
from rapport_ros.qos import NEWEST_RESULT, RESULTS

GONE = (ProfileEvent.FORGOTTEN, ProfileEvent.EXPIRED, ProfileEvent.MERGED)


class Recorder:
    """Fills a `Recording`.

    Args:
        node: subscribes; its callbacks run in one thread.
        recording: what came.
        on_profile: called with each profile.
        on_annotated: called with each annotated image and the number of faces in it; None leaves the topic alone, and
            then nobody draws.
    """

    def __init__(
        self,
        node: Node,
        recording: Recording,
        on_profile: Callable[[ProfileReceived], None],
        on_annotated: Callable[[ByteImage, int, float], None] | None = None,
    ) -> None:
        self._recording = recording
        self._on_profile = on_profile
        self._on_annotated = on_annotated
        self._reported: dict[str, float] = {}
        self._lock = threading.Lock()
        deep = QoSProfile(depth=1000, reliability=RESULTS.reliability, durability=RESULTS.durability)
        self._inputs: list[Any] = [
            node.create_subscription(FaceArray, "faces", self._take_faces, deep),
            node.create_subscription(UserProfile, "profiles", self._take_profile, PROFILES),
            node.create_subscription(ProfileEvent, "profile_events", self._take_event, deep),
            node.create_subscription(DiagnosticArray, "/diagnostics", self._take_diagnostics, deep),
        ]
        if on_annotated is not None:
            self._inputs.append(node.create_subscription(Image, "annotated", self._take_annotated, NEWEST_RESULT))

    def is_connected(self) -> bool:
        """Whether every topic has a publisher."""
        return all(subscription.get_publisher_count() > 0 for subscription in self._inputs)

    def has_report_since(self, moment: float) -> bool:
        """Whether both nodes have reported their health since then (`time.monotonic()`)."""
        names = ("face_perception", "profile_store")
        return all(self._reported.get(name, 0.0) > moment for name in names)

    def _take_faces(self, message: FaceArray) -> None:
        ids = tuple(face.id for face in message.faces)
        self._recording.faces.append(FacesReceived(stamp_ns(message.header.stamp), time.monotonic(), ids))

    def _take_profile(self, message: UserProfile) -> None:
        received = ProfileReceived(stamp_ns(message.header.stamp), time.monotonic(), profile_state(message))
        self._recording.profiles.append(received)
        self._on_profile(received)

    def _take_event(self, message: ProfileEvent) -> None:
        """Who was forgotten is forgotten here, too."""
        if message.kind in GONE:
            kept = [item for item in self._recording.profiles if item.state.user_id != message.user_id]
            self._recording.profiles[:] = kept

    def _take_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            name = status.name.rpartition("/")[2]
            self._recording.diagnostics[name] = {item.key: item.value for item in status.values}
            self._reported[name] = time.monotonic()

    def _take_annotated(self, message: Image) -> None:
        assert self._on_annotated is not None
        image = decode_raw(message.data, message.encoding, message.width, message.height, message.step)
        newest = self._recording.faces[-1] if self._recording.faces else None
        same = newest is not None and newest.stamp_ns == stamp_ns(message.header.stamp)
        self._on_annotated(image, len(newest.ids) if newest is not None and same else 0, time.monotonic())


def profile_state(message: UserProfile) -> ProfileState:
    """A profile message in plain values."""
    demographics = message.demographics
    age = None
    if demographics.age_known:
        age = AgeState(mean=demographics.age_mean, low=demographics.age_low, high=demographics.age_high)
    gender = next((item for item in demographics.attributes if item.name == "gender" and item.known), None)
    return ProfileState(
        user_id=message.user_id,
        age=age,
        gender=GenderState(label=gender.label, confidence=gender.confidence) if gender is not None else None,
        observations=message.observations,
        face_id=message.face_id,
        anonymous=message.anonymous,
        consent=CONSENT_FROM_MESSAGE[message.consent].value,
        summary=message.summary,
        first_seen=stamp_to_seconds(message.first_seen),
        last_seen=stamp_to_seconds(message.last_seen),
    )
