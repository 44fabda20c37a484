"""A profile in one paragraph of plain English, fit for a dialogue model's context.

The same profile always gives the same words. What is not known is called unknown, an age is a range with "about", and
what a face shows is said as an appearance, not as a fact. Race and ethnicity are never mentioned: a profile has no
place for them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timezone

from rapport_edge.profiles.profile import Profile
from rapport_edge.store.consent import REFUSALS, Consent
from rapport_edge.store.records import DemographicRecord, PreferenceRecord, PreferenceSource

MAX_PREFERENCES = 5
MAX_SUGGESTIONS = 3
MAX_PHRASE = 80

_ANONYMOUS = {
    Consent.UNKNOWN: "An anonymous person who has not been asked whether the robot may remember them.",
    Consent.NOTIFIED: "An anonymous person who was told what the robot would remember and has not answered yet.",
    Consent.DENIED: "A person who does not want to be remembered. Nothing about them is known or kept.",
    Consent.WITHDRAWN: "A person who withdrew their consent. Nothing about them is known or kept.",
}

_SOURCES = {
    PreferenceSource.STATED: "said so",
    PreferenceSource.BEHAVIOUR: "from what they chose",
    PreferenceSource.WRITTEN: "from what they wrote",
    PreferenceSource.IMPORTED: "imported",
}


def summarise(profile: Profile) -> str:
    """The paragraph: one line of whole sentences."""
    opening = _opening(profile)
    if profile.consent in REFUSALS:
        return opening
    appearance = [_age(profile.demographic("age")), _gender(profile.demographic("gender"))]
    return " ".join([opening, *appearance, *_preferences(profile.preferences), *_suggestions(profile)])


def _opening(profile: Profile) -> str:
    if profile.consent is not Consent.GRANTED:
        return _ANONYMOUS[profile.consent]
    who = f"{_phrase(profile.name)}, a known person" if profile.name else "A known person"
    met = datetime.fromtimestamp(profile.first_seen, timezone.utc)
    return f"{who} who agreed to be remembered, first seen on {met:%Y-%m-%d}."


def _age(record: DemographicRecord | None) -> str:
    if record is None or record.label is None or record.age is None:
        return "Age: unknown."
    low, high = max(0, math.floor(record.age.low)), max(0, math.ceil(record.age.high))
    return f"Looks about {low} years old." if low == high else f"Looks about {low} to {high} years old."


def _gender(record: DemographicRecord | None) -> str:
    if record is None or record.label is None:
        return "Gender: unknown."
    return f"Appears to be {_phrase(record.label).lower()} (confidence {record.confidence:.2f})."


def _preferences(preferences: Sequence[PreferenceRecord]) -> list[str]:
    ranked = sorted(preferences, key=lambda p: (-abs(p.strength), p.topic))[:MAX_PREFERENCES]
    likes = [_preference(p) for p in ranked if p.strength > 0.0]
    dislikes = [_preference(p) for p in ranked if p.strength < 0.0]
    sentences = [f"{verb} {_joined(topics)}." for verb, topics in (("Likes", likes), ("Dislikes", dislikes)) if topics]
    return sentences or ["Preferences: unknown."]


def _suggestions(profile: Profile) -> list[str]:
    titles = [_phrase(item.title or item.item_id) for item in profile.suggestions[:MAX_SUGGESTIONS]]
    return [f"Could be offered {_joined(titles)}."] if titles else []


def _preference(preference: PreferenceRecord) -> str:
    topic, source = _phrase(preference.topic), _SOURCES.get(preference.source)
    return topic if source is None else f"{topic} ({source})"


def _phrase(text: str) -> str:
    """Free text as part of a sentence: one line, no control characters, cut where it would fill the context."""
    printable = "".join(c if c.isprintable() else " " for c in text)
    words = " ".join(printable.split())
    return words if len(words) <= MAX_PHRASE else words[: MAX_PHRASE - 1].rstrip() + "…"


def _joined(phrases: Sequence[str]) -> str:
    return phrases[0] if len(phrases) == 1 else f"{', '.join(phrases[:-1])} and {phrases[-1]}"
