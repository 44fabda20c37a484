"""A dialogue node's side: greets each person once, by what the profile says and no further.

The age picks a tone and is never spoken, gender is not used, and who is unknown gets a greeting that fits everybody.
"""

from __future__ import annotations

from typing import Any

import msgspec
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import String

from rapport_msgs.msg import ProfileEvent, UserProfile
from rapport_ros.diagnostics import DiagnosticsPublisher, Report
from rapport_ros.managed_node import ManagedNode
from rapport_ros.runner import run_node


def greeting(profile: UserProfile) -> str:
    """What to say first; a dialogue model would get `profile.summary` and write this itself."""
    if profile.consent in (UserProfile.CONSENT_DENIED, UserProfile.CONSENT_WITHDRAWN):
        return "Hello."
    age = profile.demographics
    child, adult = age.age_known and age.age_high < 13.0, age.age_known and age.age_low >= 18.0
    hello = "Hi there!" if child else "Good day." if adult else "Hello."
    if profile.anonymous:
        ask = adult and profile.consent == UserProfile.CONSENT_UNKNOWN
        return f"{hello} May I remember you for next time?" if ask else f"{hello} Nice to meet you."
    likes = [preference.topic for preference in profile.preferences if preference.strength > 0.0]
    return f"{hello} Nice to see you again." + (f" Shall we talk about {likes[0]}?" if likes else "")


class DialogueExample(ManagedNode[msgspec.Struct]):
    """Profiles in, sentences out on `say`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("dialogue_example", msgspec.defstruct("NoParameters", []), **kwargs)
        self._greeted: set[str] = set()
        self._say = self.create_lifecycle_publisher(String, "say", 10)
        latched = QoSProfile(depth=32, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        DiagnosticsPublisher(self, lambda: Report("greets", values={"persons greeted": len(self._greeted)}))
        self.create_subscription(UserProfile, "profiles", self._on_profile, latched)
        self.create_subscription(ProfileEvent, "profile_events", self._on_event, 10)

    def _on_profile(self, profile: UserProfile) -> None:
        if self._say.is_activated and profile.face_id and profile.user_id not in self._greeted:
            self._greeted.add(profile.user_id)
            self._say.publish(String(data=greeting(profile)))
            self.get_logger().info(f"to {profile.user_id}: {greeting(profile)}")

    def _on_event(self, event: ProfileEvent) -> None:
        if event.kind in (ProfileEvent.FORGOTTEN, ProfileEvent.EXPIRED):
            self._greeted.discard(event.user_id)


def main() -> None:
    """Runs the node alone; whoever started it drives its lifecycle."""
    run_node(DialogueExample)
