"""A dialogue node's side: greets each person once, by what the profile says and no further.

The age picks a tone and is never spoken. Gender is not used at all. Who is unknown gets a greeting that fits everybody,
and who refused gets no question. A dialogue model would take `profile.summary` into its context at the same place.
"""

from __future__ import annotations

from rapport_msgs.msg import ProfileEvent, UserProfile
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import String

REFUSED = (UserProfile.CONSENT_DENIED, UserProfile.CONSENT_WITHDRAWN)


def greeting(profile: UserProfile) -> str:
    """What to say first. The tone follows the age only when the whole interval agrees on it."""
    age = profile.demographics
    child, adult = age.age_known and age.age_high < 13.0, age.age_known and age.age_low >= 18.0
    hello = "Hi there!" if child else "Good day." if adult else "Hello."
    if profile.consent in REFUSED:
        return "Hello."
    if not profile.anonymous:
        likes = [p.topic for p in profile.preferences if p.strength > 0.0]
        return f"{hello} Nice to see you again." + (f" Shall we talk about {likes[0]}?" if likes else "")
    ask = profile.consent == UserProfile.CONSENT_UNKNOWN and adult
    return f"{hello} May I remember you for next time?" if ask else f"{hello} Nice to meet you."


class DialogueExample(LifecycleNode):
    """Profiles in, sentences out on `say`."""

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._greeted: set[str] = set()
        self._say = self.create_lifecycle_publisher(String, "say", 10)
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        latched = QoSProfile(depth=32, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._profiles = self.create_subscription(UserProfile, "profiles", self._on_profile, latched)
        self._events = self.create_subscription(ProfileEvent, "profile_events", self._on_event, 10)
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.destroy_subscription(self._profiles)
        self.destroy_subscription(self._events)
        return super().on_deactivate(state)

    def _on_profile(self, profile: UserProfile) -> None:
        if profile.face_id and profile.user_id not in self._greeted:
            self._greeted.add(profile.user_id)
            sentence = greeting(profile)
            self.get_logger().info(f"{profile.user_id}: {sentence}")
            self._say.publish(String(data=sentence))

    def _on_event(self, event: ProfileEvent) -> None:
        """Copies are deleted when the store says so; here the only copy is who was greeted."""
        if event.kind in (ProfileEvent.FORGOTTEN, ProfileEvent.EXPIRED):
            self._greeted.discard(event.user_id)
