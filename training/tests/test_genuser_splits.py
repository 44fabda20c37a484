"""Splits in equal proportions, for whatever faces there are."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport_edge.errors import SettingsError
from rapport_edge.labels import AGE_BINS, GENDERS, RACES
from rapport_training.data.genuser_splits import Stratum, balanced_splits, parse_sizes
from rapport_training.data.schema import SPLITS

STRATA = list(product(AGE_BINS, GENDERS, RACES))


def contents(count: int) -> list[str]:
    return [hashlib.sha256(str(number).encode()).hexdigest() for number in range(count)]


@st.composite
def faces_and_sizes(draw: st.DrawFn) -> tuple[list[Stratum], list[int]]:
    """Strata with one, two or many members, and sizes that leave some faces over or none."""
    groups = draw(st.lists(st.tuples(st.sampled_from(STRATA), st.integers(1, 12)), min_size=1, max_size=25))
    strata = [stratum for stratum, count in groups for _ in range(count)]
    strata += [STRATA[0]] * max(0, 3 - len(strata))
    left = len(strata)
    sizes = []
    for still in (2, 1, 0):
        sizes.append(draw(st.integers(1, left - still)))
        left -= sizes[-1]
    return strata, sizes


@given(faces_and_sizes())
@settings(max_examples=60)
def test_every_group_has_its_share_rounded_up_or_down(drawn: tuple[list[Stratum], list[int]]) -> None:
    strata, sizes = drawn
    chosen = balanced_splits(contents(len(strata)), strata, sizes)
    assert [chosen.count(name) for name in SPLITS] == sizes
    for depth in (1, 2, 3):  # an age, a gender within an age, a stratum
        members = Counter(stratum[:depth] for stratum in strata)
        for split, size in zip(SPLITS, sizes, strict=True):
            found = Counter(s[:depth] for s, name in zip(strata, chosen, strict=True) if name == split)
            assert all(abs(found[group] - count * size / len(strata)) < 1 for group, count in members.items())


@given(faces_and_sizes(), st.randoms(use_true_random=False))
@settings(max_examples=20)
def test_the_order_of_the_faces_does_not_matter(
    drawn: tuple[list[Stratum], list[int]], shuffler: random.Random
) -> None:
    strata, sizes = drawn
    faces = list(zip(contents(len(strata)), strata, strict=True))
    before = dict(zip(contents(len(strata)), balanced_splits(contents(len(strata)), strata, sizes), strict=True))
    shuffler.shuffle(faces)
    after = balanced_splits([face[0] for face in faces], [face[1] for face in faces], sizes)
    assert before == dict(zip((face[0] for face in faces), after, strict=True))


def test_ethnicities_are_balanced_too() -> None:
    strata = random.Random(3).choices(STRATA, weights=[number % 9 + 1 for number in range(len(STRATA))], k=3000)
    chosen = balanced_splits(contents(3000), strata, [2400, 300, 300])
    of_race = Counter(stratum[2] for stratum in strata)
    for split, size in zip(SPLITS, (2400, 300, 300), strict=True):
        found = Counter(s[2] for s, name in zip(strata, chosen, strict=True) if name == split)
        assert all(abs(found[race] / size - of_race[race] / 3000) < 0.02 for race in RACES)


@pytest.mark.parametrize(
    ("text", "available", "sizes"),
    [
        ("8000,1000,1000", 10_000, (8000, 1000, 1000)),
        ("0.8,0.1,0.1", 10_001, (8001, 1000, 1000)),
        ("0.08,0.01,0.01", 1000, (80, 10, 10)),
        (".5,.25,.25", 7, (4, 1, 2)),
    ],
)
def test_sizes_are_numbers_or_shares(text: str, available: int, sizes: tuple[int, int, int]) -> None:
    assert parse_sizes(text, available) == sizes


@pytest.mark.parametrize("text", ["8000,1000,1000", "1,2", "a,b,c", "", "0.8,0.1,0", "1.5,2,3", "nan,1,1", "-1,1,1"])
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        parse_sizes(text, 9_999)


def test_shares_of_too_few_faces_are_refused() -> None:
    with pytest.raises(SettingsError, match="4 are usable"):
        parse_sizes("0.8,0.1,0.1", 4)
