"""What the dialogue example says, and what it never says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from persons import House
from rclpy.lifecycle import TransitionCallbackReturn
from std_msgs.msg import String

from rapport_msgs import srv
from rapport_msgs.msg import Attribute, DemographicEstimate, Preference, UserProfile
from rapport_ros.dialogue_example import DialogueExample, greeting

UNKNOWN, GRANTED = UserProfile.CONSENT_UNKNOWN, UserProfile.CONSENT_GRANTED


def profile(age: tuple[float, float] | None, consent: int = UNKNOWN, likes: tuple[str, ...] = ()) -> UserProfile:
    demographics = DemographicEstimate(age_known=age is not None)
    if age is not None:
        demographics.age_low, demographics.age_high = age
    demographics.attributes = [Attribute(name="gender", known=True, label="Female")]
    preferences = [Preference(topic=topic, strength=0.8) for topic in likes]
    return UserProfile(
        user_id="person_1", face_id="f1", consent=consent, anonymous=consent != GRANTED,
        demographics=demographics, preferences=preferences,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("age", "consent", "likes", "expected"),
    [
        (None, UNKNOWN, (), "Hello. Nice to meet you."),
        ((5.0, 9.0), UNKNOWN, (), "Hi there! Nice to meet you."),
        ((10.0, 19.0), UNKNOWN, (), "Hello. Nice to meet you."),
        ((30.0, 40.0), UNKNOWN, (), "Good day. May I remember you for next time?"),
        ((30.0, 40.0), UserProfile.CONSENT_NOTIFIED, (), "Good day. Nice to meet you."),
        ((30.0, 40.0), UserProfile.CONSENT_DENIED, (), "Hello."),
        ((30.0, 40.0), UserProfile.CONSENT_WITHDRAWN, (), "Hello."),
        (None, GRANTED, (), "Hello. Nice to see you again."),
        ((70.0, 80.0), GRANTED, ("jazz",), "Good day. Nice to see you again. Shall we talk about jazz?"),
    ],
)
def test_the_greeting_follows_the_profile(
    age: tuple[float, float] | None, consent: int, likes: tuple[str, ...], expected: str
) -> None:
    assert greeting(profile(age, consent, likes)) == expected


@pytest.mark.live
def test_each_person_is_greeted_once_and_forgotten_with_the_store(graph: Any, tmp_path: Path) -> None:
    house = House(graph, tmp_path / "p.sqlite")
    dialogue = graph.add(DialogueExample())
    assert dialogue.trigger_configure() == TransitionCallbackReturn.SUCCESS
    assert dialogue.trigger_activate() == TransitionCallbackReturn.SUCCESS
    said = graph.collect(house.listener, String, "say", 10)
    graph.wait_for(lambda: house.listener.count_publishers("say") and dialogue.count_subscribers("say"), "the dialogue")
    user_id = house.person("f1")
    graph.wait_for(lambda: said, "a greeting")
    for observations in (4, 5, 6):
        house.perception.estimate("f1", observations)
    house.profile(lambda p: p.observations == 6, "the newest profile")
    assert [message.data for message in said] == ["Good day. May I remember you for next time?"]
    assert house.call(srv.ForgetUser, "forget_user", user_id=user_id).success
    house.perception.estimate("f1", 7)
    graph.wait_for(lambda: len(said) == 2, "a greeting for the person who is a stranger again")
