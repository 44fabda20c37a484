"""The topics of the profile store: profiles that a late subscriber still gets, and events."""

from __future__ import annotations

from rclpy.event_handler import PublisherEventCallbacks, QoSPublisherMatchedInfo
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from rapport_msgs.msg import ProfileEvent, UserProfile
from rapport_ros.qos import RESULTS

#: As many persons as a late subscriber gets at once.
PROFILES = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=32,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)


class ProfileTopics:
    """Publishes profiles and events.

    The middleware keeps the last messages for late subscribers, whoever they are about. So one busy person would push
    out the others, and a forgotten person would still be handed out. Therefore each new subscriber is sent all current
    profiles, and a forgotten person ends the publisher together with its history.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._current: dict[str, UserProfile] = {}
        self._events = node.create_publisher(ProfileEvent, "profile_events", RESULTS)
        self._profiles = self._open()

    def publish(self, profile: UserProfile) -> None:
        """A profile that changed."""
        self._current[profile.user_id] = profile
        self._profiles.publish(profile)

    def publish_event(self, event: ProfileEvent) -> None:
        """Something happened to a profile."""
        self._events.publish(event)

    def drop(self, user_id: str) -> None:
        """Nobody who subscribes from now on is told about this person."""
        if self._current.pop(user_id, None) is not None:
            self._node.destroy_publisher(self._profiles)
            self._profiles = self._open()
            self._publish_all()

    def close(self) -> None:
        """Ends both topics."""
        self._node.destroy_publisher(self._profiles)
        self._node.destroy_publisher(self._events)

    def _open(self) -> Publisher:
        callbacks = PublisherEventCallbacks(matched=self._on_matched)
        return self._node.create_publisher(UserProfile, "profiles", PROFILES, event_callbacks=callbacks)

    def _on_matched(self, info: QoSPublisherMatchedInfo) -> None:
        if info.current_count_change > 0:
            self._publish_all()

    def _publish_all(self) -> None:
        for profile in self._current.values():
            self._profiles.publish(profile)
