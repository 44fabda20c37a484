"""The paragraph about a person: deterministic, honest about the unknown, silent about what nobody agreed to."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport_edge.profiles.profile import Profile, Suggestion, assemble
from rapport_edge.profiles.summary import summarise
from rapport_edge.store.consent import Consent
from rapport_edge.store.records import (
    AgeInterval,
    DemographicRecord,
    PreferenceRecord,
    PreferenceSource,
    ProfileRecord,
)

RACES = ("White", "Black", "Latino_Hispanic", "East Asian", "Southeast Asian", "Indian", "Middle Eastern")
SUGGESTIONS = (Suggestion(item_id="i1", title="Saturn's rings", rank=1, score=0.9),)


def demographic(attribute: str, label: str | None, age: AgeInterval | None = None) -> DemographicRecord:
    return DemographicRecord(
        attribute=attribute, labels=("x", "y"), probabilities=(0.9, 0.1), label=label, confidence=0.9,
        uncertainty=0.4, observations=4, model_digest="d" * 64, updated=0.0, age=age,
    )  # fmt: skip


def record(consent: Consent, **changes: object) -> ProfileRecord:
    values = {
        "user_id": "person_1",
        "consent": consent,
        "anonymous": consent is not Consent.GRANTED,
        "created": 0.0,
        "first_seen": 1_700_000_000.0,
        "last_seen": 1_700_000_100.0,
        "name": "Ada",
        "demographics": (
            demographic("age", "30-39", AgeInterval(mean=33.0, std=4.0, low=27.6, high=38.2)),
            demographic("gender", "Female"),
            demographic("race", "Indian"),
        ),
        "preferences": (
            PreferenceRecord(topic="astronomy", strength=0.9, confidence=0.9, source=PreferenceSource.STATED),
            PreferenceRecord(topic="jazz", strength=0.5, confidence=0.7, source=PreferenceSource.BEHAVIOUR),
            PreferenceRecord(topic="football", strength=-0.6, confidence=0.7),
        ),
    }
    return ProfileRecord(**{**values, **changes})  # type: ignore[arg-type]


def profile(consent: Consent, **changes: object) -> Profile:
    return assemble(record(consent, **changes), "f1", SUGGESTIONS)


def test_everything_that_is_known_about_a_consenting_person() -> None:
    assert summarise(profile(Consent.GRANTED)) == (
        "Ada, a known person who agreed to be remembered, first seen on 2023-11-14. Looks about 27 to 39 years old. "
        "Appears to be female (confidence 0.90). Likes astronomy (said so) and jazz (from what they chose). "
        "Dislikes football. Could be offered Saturn's rings."
    )


def test_an_anonymous_person_has_an_appearance_and_nothing_else() -> None:
    assert summarise(profile(Consent.UNKNOWN)) == (
        "An anonymous person who has not been asked whether the robot may remember them. "
        "Looks about 27 to 39 years old. Appears to be female (confidence 0.90). Preferences: unknown."
    )


@pytest.mark.parametrize("consent", [Consent.DENIED, Consent.WITHDRAWN])
def test_who_refused_is_not_described(consent: Consent) -> None:
    refused = profile(consent)
    assert (refused.demographics, refused.preferences, refused.name, refused.suggestions) == ((), (), None, ())
    assert not {"27", "female", "Ada", "astronomy", "Saturn"} & set(summarise(refused).replace(".", "").split())


@pytest.mark.parametrize("demographics", [(), (demographic("age", None), demographic("gender", None))])
def test_what_is_not_known_is_called_unknown(demographics: tuple[DemographicRecord, ...]) -> None:
    text = summarise(profile(Consent.GRANTED, demographics=demographics, preferences=()))
    assert "Age: unknown. Gender: unknown. Preferences: unknown." in text


@pytest.mark.parametrize("race", RACES)
@pytest.mark.parametrize("attribute", ["race", "ethnicity"])
def test_race_is_neither_carried_nor_mentioned(attribute: str, race: str) -> None:
    described = profile(Consent.GRANTED, demographics=(demographic(attribute, race),))
    assert described.demographics == ()
    assert race not in summarise(described)


@settings(deadline=None, max_examples=40)
@given(st.floats(-3, 100), st.floats(0, 30))
def test_an_age_is_always_a_range_that_holds_the_estimate(low: float, width: float) -> None:
    interval = AgeInterval(mean=low + width / 2, std=1.0, low=low, high=low + width)
    text = summarise(profile(Consent.UNKNOWN, demographics=(demographic("age", "20-29", interval),)))
    numbers = [int(word) for word in text.split("about ")[1].split(" years")[0].split(" to ")]
    assert 0 <= numbers[0] <= max(low, 0.0)
    assert numbers[-1] >= low + width


@settings(deadline=None, max_examples=40)
@given(st.lists(st.text(min_size=1, max_size=200), max_size=12), st.sampled_from(Consent))
def test_it_stays_one_short_line_whatever_people_said(topics: list[str], consent: Consent) -> None:
    likes = tuple(PreferenceRecord(topic=topic, strength=0.5, confidence=0.5) for topic in topics)
    described = profile(consent, preferences=likes, name="\n".join(topics) or None)
    text = summarise(described)
    assert text == summarise(described)
    assert text.isprintable()
    assert text.endswith(".")
    assert len(text) < 1200
