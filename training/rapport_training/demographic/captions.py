"""Captions of the FairUser data set (demographic user modelling paper, Section III-A2) and shorter views of them."""

from __future__ import annotations

#: The paper's template.
FAIRUSER = "The person appears to be {race} {gender}, approximately {age} years old"

#: What a caption may speak of. The full caption is the paper's; the shorter ones say less about the same person, so
#: that prompts for one attribute are sentences that the text tower has seen.
TEMPLATES = {
    "fairuser": FAIRUSER,
    "gender": "The person appears to be {gender}",
    "age": "The person appears to be approximately {age} years old",
}


def caption(view: str, *, race: str, gender: str, age: str) -> str:
    """The sentence of a view, e.g. of race "Black", gender "Female" and age "20-29"."""
    return TEMPLATES[view].format(race=race.lower(), gender=gender.lower(), age=age)
