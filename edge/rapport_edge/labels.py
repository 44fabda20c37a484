"""FairFace's label set (Karkkainen and Joo 2021): names, order, age arithmetic, and the repair of damaged labels.

Bundles, evaluation and training take names from here. Labels travel as names, never as bare integers: the order of the
races differs between publications of the data set.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from rapport_edge.errors import RapportError
from rapport_edge.faces import FloatArray

GENDERS: Final = ("Male", "Female")

AGE_BINS: Final = ("0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "more than 70")

#: Ages in completed years: bin i holds AGE_EDGES[i] up to but not including AGE_EDGES[i + 1]. FairFace leaves the last
#: bin open; here it is a decade like the others. Its middle, 74.5, is the one with which published age errors of
#: other networks on these bins can be repeated, and few people in the set are older.
AGE_EDGES: Final = (0.0, 3.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0)

RACES: Final = (
    "Black",
    "East Asian",
    "Indian",
    "Latino_Hispanic",
    "Middle Eastern",
    "Southeast Asian",
    "White",
)

#: What a spreadsheet makes of "3-9" and "10-19", which it takes for dates.
_DAMAGED_AGES: Final = {
    "03-sep": "3-9",
    "3-sep": "3-9",
    "sep-03": "3-9",
    "sep-3": "3-9",
    "oct-19": "10-19",
    "19-oct": "10-19",
}
_AGE_SPELLINGS: Final = {"70+": "more than 70", "70 or more": "more than 70", ">70": "more than 70"}


class LabelError(RapportError):
    """A label that is not in the label set."""


def bin_middles(edges: Sequence[float]) -> FloatArray:
    """(k,) float32, the middle of each bin in completed years: of 3 to 9 it is 6, of 20 to 29 it is 24.5.

    Args:
        edges: k + 1 ascending edges in completed years, as `AGE_EDGES`.
    """
    return np.array([(low + high - 1.0) / 2.0 for low, high in pairwise(edges)], dtype=np.float32)


def parse_age(text: str) -> str:
    """The age bin that a label names.

    Raises:
        LabelError: if it names none.
    """
    folded = _fold(text)
    for name in AGE_BINS:
        if folded == name:
            return name
    known = _DAMAGED_AGES.get(folded) or _AGE_SPELLINGS.get(folded)
    if known is None:
        raise LabelError(f"age {text!r} is not one of {', '.join(AGE_BINS)}")
    return known


def is_damaged_age(text: str) -> bool:
    """True for an age label that a spreadsheet turned into a date, such as "03-Sep"; `parse_age` repairs it."""
    return _fold(text) in _DAMAGED_AGES


def parse_gender(text: str) -> str:
    """The gender that a label names, whatever its case.

    Raises:
        LabelError: if it names none.
    """
    return _match(text, GENDERS, "gender")


def parse_race(text: str) -> str:
    """The race that a label names, whatever its case; blanks and underscores are the same.

    Raises:
        LabelError: if it names none.
    """
    return _match(text, RACES, "race")


def _match(text: str, names: Sequence[str], what: str) -> str:
    for name in names:
        if _fold(name) == _fold(text):
            return name
    raise LabelError(f"{what} {text!r} is not one of {', '.join(names)}")


def _fold(text: str) -> str:
    return " ".join(text.casefold().replace("_", " ").replace("\N{EN DASH}", "-").split())
