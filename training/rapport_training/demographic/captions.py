"""Captions of FairUser (demographic user modelling paper, Section III-A2) and other sentences about a face.

A *view* is one way to speak of a person. The paper's caption names race, gender and age; the shorter views say less
about the same person, so that the prompts of a zero-shot head are sentences that the text tower knows; "sentence" says
gender and age in many wordings, so that it also understands the sentences that people write into a query.
"""

from __future__ import annotations

from itertools import product

from rapport_edge.labels import AGE_BINS, AGE_EDGES

#: The paper's template.
FAIRUSER = "The person appears to be {race} {gender}, approximately {age} years old"

#: The sentence that a data set's builder wrote for the face.
OWN_CAPTION = "caption"

TEMPLATES = {
    "fairuser": FAIRUSER,
    "gender": "The person appears to be {gender}",
    "age": "The person appears to be approximately {age} years old",
}

#: The view with many wordings; see `paraphrases`.
SENTENCE = "sentence"

#: What a recipe may train on; all but the first are made from the labels.
VIEWS = (OWN_CAPTION, *TEMPLATES, SENTENCE)

_FRAMES = (
    "{who}",
    "a {who}",
    "a photo of a {who}",
    "a picture of a {who}",
    "the face of a {who}",
    "a portrait of a {who}",
    "find a {who}",
    "the person is a {who}",
)
#: Nouns by gender and stage of life: up to 2, 3 to 9, 10 to 19, 20 to 59, 60 and more years.
_NOUNS = {
    "Male": (("baby boy", "male baby"), ("boy", "little boy"), ("boy", "teenage boy"), ("man", "guy"), ("man",)),
    "Female": (("baby girl", "female baby"), ("girl", "little girl"), ("girl", "teenage girl"), ("woman",), ("woman",)),
}
_STAGES = ("baby", "child", "teenager", "adult", "adult")
_ADJECTIVES = ("baby", "young", "young", "young", "", "middle-aged", "middle-aged", "old", "elderly")
_DECADES = ("", "", "", "twenties", "thirties", "forties", "fifties", "sixties", "seventies")


def caption(view: str, *, race: str, gender: str, age: str) -> str:
    """The sentence of a view, e.g. of race "Black", gender "Female" and age "20-29"."""
    return TEMPLATES[view].format(race=race.lower(), gender=gender.lower(), age=age)


def paraphrases(gender: str, age: str) -> list[str]:
    """The same person in every wording of the view "sentence"; the i-th wording is the same for all persons.

    Race is not spoken of: a text tower that is to run on a robot learns queries for gender and age only.

    Args:
        gender: of `rapport_edge.labels.GENDERS`.
        age: of `rapport_edge.labels.AGE_BINS`.
    """
    index = AGE_BINS.index(age)
    return [
        frame.format(who=who).replace("a elderly", "an elderly").replace("  ", " ").strip()
        for frame, who in product(_FRAMES, _descriptions(gender, index))
    ]


def _descriptions(gender: str, index: int) -> list[str]:
    """Gender alone, age alone, and both, with the age as a number, a bin, a decade or a stage of life."""
    stage = min(index, 3) if index < 7 else 4
    first, last = (_NOUNS[gender][stage][0], _NOUNS[gender][stage][-1])
    sex = gender.lower()
    low, high = int(AGE_EDGES[index]), int(AGE_EDGES[index + 1]) - 1
    years = [low + round(share * (high - low)) for share in (0.2, 0.4, 0.6, 0.8)]
    decade = f"in their {_DECADES[index]}" if _DECADES[index] else f"of {low} to {high} years"
    adjective = _ADJECTIVES[index]
    return [
        f"{sex} person",
        f"{sex} {_STAGES[stage]}",
        f"person of about {years[1]} years",
        f"person who is {years[2]} years old",
        f"person aged {low} to {high}",
        f"{adjective} person",
        f"{adjective} {first}",
        f"{adjective} {last} of about {years[2]} years",
        f"{first} of about {years[0]} years",
        f"{last} of about {years[3]} years",
        f"{years[1]} year old {sex}",
        f"{years[3]}-year-old {first}",
        f"{first} {decade}",
        f"{last}, approximately {low}-{high} years old",
    ]
