"""A deterministic writer: profiles out of the attributes alone, in wordings chosen by a hash of the picture.

It asks nobody and looks at nothing, so it says no more than the attributes do. What it is for: data sets whose
captions cost nothing, tests, and a baseline for captions that a vision-language model wrote.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from rapport_training.data.captioners import wording
from rapport_training.data.captioners.base import Caption, identity_of
from rapport_training.data.captioners.wording import Pronouns

#: Goes up whenever a sentence changes: the digest of these constants does not see code.
_VERSION: Final = 1

_OPENINGS: Final = (
    "The picture shows {who}.",
    "This is a portrait of {who}.",
    "The person in the picture appears to be {who}.",
    "A close-up of the face of {who}.",
    "The photo shows the face of {who}.",
    "In this picture we see {who}.",
)
_AGES: Final = (
    "{They} appear{s} to be {age}.",
    "{They} look{s} {age}.",
    "{They} might be {age}.",
    "Judging by the face, {they} {be} {age}.",
    "{Their} face is that of somebody {age}.",
)
_EMOTIONS: Final = {
    "joy": ("{They} look{s} happy, with a smile.", "{Their} expression is joyful.", "{They} smile{s} warmly."),
    "neutral": (
        "{Their} expression is neutral.",
        "{They} look{s} calm, with a neutral expression.",
        "{Their} face is relaxed and shows no strong emotion.",
    ),
    "surprise": ("{They} look{s} surprised.", "{Their} expression shows surprise.", "{They} seem{s} astonished."),
    "sadness": ("{They} look{s} sad.", "{Their} expression is sad.", "{They} seem{s} downcast."),
    "anger": ("{They} look{s} angry.", "{Their} expression is angry.", "{They} seem{s} annoyed."),
    "fear": ("{They} look{s} afraid.", "{Their} expression shows fear.", "{They} seem{s} frightened."),
    "disgust": ("{They} look{s} disgusted.", "{Their} expression shows disgust.", "{They} seem{s} repelled."),
}
_SYNONYMS: Final = {
    "happy": "joy",
    "happiness": "joy",
    "smile": "joy",
    "smiling": "joy",
    "surprised": "surprise",
    "sad": "sadness",
    "angry": "anger",
    "calm": "neutral",
}
_OTHER_EMOTION: Final = ("{Their} expression shows {emotion}.", "{Their} mood seems to be {emotion}.")
_HAIR_AND_EYES: Final = (
    "{They} {has} {hair} and {eyes}.",
    "{Their} features include {hair} and {eyes}.",
    "{They} can be recognised by {hair} and {eyes}.",
)
_ONE_FEATURE: Final = ("{They} {has} {feature}.", "{Their} features include {feature}.")
_POSES: Final = {
    "facing the camera": ("{They} face{s} the camera.", "{They} look{s} straight at the viewer."),
    "turned to the side": ("{Their} head is turned to the side.", "{They} look{s} to the side."),
}
_OTHER_POSE: Final = ("{Their} head pose is {pose}.",)
_FRONTAL: Final = ("front", "frontal", "front facing", "straight", "straight on", "forward")
_DETAILS: Final = ("Also visible: {details}.", "Further details: {details}.")
_HAIR: Final = ("hair_length", "hair_style", "hair_color")
_SPOKEN: Final = ("age", "gender", "ethnicity", "emotion", *_HAIR, "eye_color", "head_pose")
_ABSENT: Final = ("none", "no", "false", "0", "unknown", "")
_MOST_DETAILS: Final = 3

Choose = Callable[[str, Sequence[str]], str]


class TemplateCaptioner:
    """Writes out of the attributes; never refuses, never fails, and gives the same text for the same picture."""

    free = True

    def __init__(self) -> None:
        sentences = [_OPENINGS, _AGES, _EMOTIONS, _OTHER_EMOTION, _HAIR_AND_EYES, _ONE_FEATURE, _POSES, _DETAILS]
        self.identity = identity_of("template", f"sentences-{_VERSION}", json.dumps(sentences))

    def caption(self, picture: bytes, attributes: Mapping[str, str]) -> Caption:
        """Sentences in the order of their importance: whoever has to cut the text cuts at its end."""
        choose = _chooser(picture, attributes)
        gender = attributes.get("gender", "")
        age = wording.parse_age(_literal(attributes.get("age", "")))
        who = wording.noun(gender, age.stage)
        if origin := _literal(attributes.get("ethnicity", "")):
            who = _person(wording.ethnicity(origin, gender), who)
        sentences = [
            choose("opening", _OPENINGS).format(who=wording.with_article(who)),
            choose("years", _AGES).replace("{age}", choose("age", age.phrases)) if age.phrases else "",
            _emotion(attributes, choose),
            _looks(attributes, choose),
            _pose(attributes, choose),
            _details(attributes, choose),
        ]
        spoken = " ".join(filter(None, sentences))
        return Caption(_with_pronouns(spoken, wording.pronouns(gender)))

    def close(self) -> None:
        """Nothing to let go of."""


def _person(origin: str, noun: str) -> str:
    """The adjective of age comes before that of origin: "elderly East Asian woman"."""
    adjective, _, rest = noun.rpartition(" ")
    return f"{adjective} {origin} {rest}".strip() if adjective not in {"", "baby"} else f"{origin} {noun}"


def _chooser(picture: bytes, attributes: Mapping[str, str]) -> Choose:
    known = json.dumps(dict(attributes), sort_keys=True).encode()
    seed = hashlib.sha256(picture).digest() + hashlib.sha256(known).digest()

    def choose(place: str, ways: Sequence[str]) -> str:
        drawn = int.from_bytes(hashlib.sha256(seed + place.encode()).digest()[:8], "big")
        return ways[drawn % len(ways)]

    return choose


def _with_pronouns(text: str, person: Pronouns) -> str:
    return text.format(
        They=person.subject,
        they=person.subject.lower(),
        Their=person.possessive.capitalize(),
        their=person.possessive,
        has=person.has,
        be=person.be,
        s=person.s,
    )


def _emotion(attributes: Mapping[str, str], choose: Choose) -> str:
    emotion = attributes.get("emotion", "").casefold()
    if emotion in _ABSENT:
        return ""
    known = _EMOTIONS.get(_SYNONYMS.get(emotion, emotion))
    if known is not None:
        return choose("emotion", known)
    return choose("emotion", _OTHER_EMOTION).replace("{emotion}", _literal(emotion))


def _looks(attributes: Mapping[str, str], choose: Choose) -> str:
    hair_words = [_value(attributes, name) for name in _HAIR]
    hair = " ".join([*filter(None, hair_words), "hair"]) if any(hair_words) else ""
    eyes = f"{colour} eyes" if (colour := _value(attributes, "eye_color")) else ""
    if hair and eyes:
        return choose("looks", _HAIR_AND_EYES).replace("{hair}", hair).replace("{eyes}", eyes)
    if hair or eyes:
        return choose("looks", _ONE_FEATURE).replace("{feature}", hair or eyes)
    return ""


def _pose(attributes: Mapping[str, str], choose: Choose) -> str:
    pose = _value(attributes, "head_pose")
    if not pose:
        return ""
    pose = "facing the camera" if pose in _FRONTAL else pose
    return choose("pose", _POSES.get(pose, _OTHER_POSE)).replace("{pose}", pose)


def _details(attributes: Mapping[str, str], choose: Choose) -> str:
    """Attributes for which there is no sentence of their own, named; those that say what is not there are left out."""
    named = []
    for name in sorted(set(attributes) - set(_SPOKEN)):
        value, label = _value(attributes, name), _literal(name.replace("_", " "))
        if value:
            named.append(label if value in {"true", "yes"} else f"{label} {value}")
    return choose("details", _DETAILS).replace("{details}", ", ".join(named[:_MOST_DETAILS])) if named else ""


def _value(attributes: Mapping[str, str], name: str) -> str:
    value = attributes.get(name, "").casefold().replace("_", " ").replace("-", " ").strip()
    return "" if value in _ABSENT else _literal(value)


def _literal(text: str) -> str:
    """Survives the filling in of the pronouns."""
    return text.replace("{", "(").replace("}", ")")
