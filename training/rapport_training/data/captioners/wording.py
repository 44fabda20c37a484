"""Words for a person: nouns by gender and age, ways to say an age or an ethnicity, pronouns."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from rapport_edge.labels import AGE_BINS, AGE_EDGES

_DECADES: Final = {"20": "twenties", "30": "thirties", "40": "forties", "50": "fifties", "60": "sixties"}
#: Nouns by stage of life: for a man, for a woman, for somebody of unknown gender.
_NOUNS: Final = {
    "baby": ("baby boy", "baby girl", "baby"),
    "child": ("boy", "girl", "child"),
    "teenager": ("teenage boy", "teenage girl", "teenager"),
    "young": ("young man", "young woman", "young person"),
    "adult": ("man", "woman", "person"),
    "middle-aged": ("middle-aged man", "middle-aged woman", "middle-aged person"),
    "elderly": ("elderly man", "elderly woman", "elderly person"),
}
_STAGE_OF_BIN: Final = dict(
    zip(
        AGE_BINS,
        ("baby", "child", "teenager", "young", "adult", "middle-aged", "middle-aged", "elderly", "elderly"),
        strict=True,
    )
)
#: generated.photos' age groups, and words that other sources use for them.
_STAGE_OF_WORD: Final = {
    "infant": "baby",
    "baby": "baby",
    "toddler": "baby",
    "child": "child",
    "teen": "teenager",
    "teenager": "teenager",
    "young": "young",
    "young adult": "young",
    "adult": "adult",
    "middle aged": "middle-aged",
    "senior": "elderly",
    "elderly": "elderly",
}
_ADJECTIVES: Final = {"latino hispanic": ("Latino or Hispanic", "Latina or Hispanic"), "latino": ("Latino", "Latina")}
_LOWER_CASE: Final = ("white",)


@dataclass(frozen=True)
class Pronouns:
    """How the text speaks of a person after the first sentence; `s` ends a verb of the third person."""

    subject: str
    possessive: str
    has: str
    be: str
    s: str


HE: Final = Pronouns("He", "his", "has", "is", "s")
SHE: Final = Pronouns("She", "her", "has", "is", "s")
THEY: Final = Pronouns("They", "their", "have", "are", "")


@dataclass(frozen=True)
class Age:
    """A stage of life, and ways to say the age more exactly, such as "in {their} twenties"; none if it is not known."""

    stage: str
    phrases: tuple[str, ...]


def pronouns(gender: str) -> Pronouns:
    """By the gender that the attributes name, whatever its case; "they" for any other."""
    return {"male": HE, "female": SHE}.get(gender.casefold(), THEY)


def noun(gender: str, stage: str) -> str:
    """Such as "young woman"."""
    column = {"male": 0, "female": 1}.get(gender.casefold(), 2)
    return _NOUNS[stage][column]


def parse_age(text: str) -> Age:
    """Reads a FairFace bin, a number of years or a word; a text that is none of them is said as it is."""
    if text in AGE_BINS:
        return Age(_STAGE_OF_BIN[text], _phrases_of_bin(text))
    if re.fullmatch(r"\d+(\.\d+)?", text):
        years = float(text)
        stage = _STAGE_OF_BIN[bin_of(years)]
        return Age(
            stage, (f"about {years:.0f} years old", f"{years:.0f} years old", f"roughly {years:.0f} years of age")
        )
    word = text.casefold().replace("-", " ").replace("_", " ").strip()
    if word in _STAGE_OF_WORD or not word:
        return Age(_STAGE_OF_WORD.get(word, "adult"), ())
    return Age("adult", (f"of the age group {text}",))


def bin_of(years: float) -> str:
    """FairFace's name for an age in years; the last bin is open.

    Raises:
        ValueError: if nobody is that old.
    """
    if not 0 <= years <= 130:
        raise ValueError(f"an age of {years:g} years")
    return AGE_BINS[max(index for index in range(len(AGE_BINS)) if AGE_EDGES[index] <= years)]


def ethnicity(text: str, gender: str) -> str:
    """The adjective, such as "East Asian", "white" or "Latina"."""
    words = " ".join(text.replace("_", " ").replace("-", " ").split())
    if words.casefold() in _ADJECTIVES:
        return _ADJECTIVES[words.casefold()][gender.casefold() == "female"]
    if words.casefold() in _LOWER_CASE:
        return words.casefold()
    return words.title()


def with_article(words: str) -> str:
    """Such as "a boy" or "an Indian woman"."""
    return f"{'an' if words[:1].casefold() in 'aeiou' else 'a'} {words}"


def _phrases_of_bin(name: str) -> tuple[str, ...]:
    if name == AGE_BINS[-1]:
        return ("more than 70 years old", "older than 70", "over 70 years of age")
    low, high = name.split("-")
    ways = [
        f"between {low} and {high} years old",
        f"approximately {name} years old",
        f"about {low} to {high} years old",
    ]
    if low in _DECADES:
        ways.append(f"in {{their}} {_DECADES[low]}")
    if low == "10":
        ways.append("in {their} teens or a little younger")
    return tuple(ways)
