"""FairFace's labels, whole and damaged."""

from __future__ import annotations

import pytest

from rapport_edge.labels import (
    AGE_BINS,
    GENDERS,
    RACES,
    LabelError,
    is_damaged_age,
    parse_age,
    parse_gender,
    parse_race,
)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("03-Sep", "3-9"),
        ("Oct-19", "10-19"),
        ("19-Oct", "10-19"),
        (" MORE THAN 70 ", "more than 70"),
        ("more_than_70", "more than 70"),
        ("70+", "more than 70"),
        ("20–29", "20-29"),
        *((name, name) for name in AGE_BINS),
    ],
)
def test_reads_ages(text: str, name: str) -> None:
    assert parse_age(text) == name


def test_knows_damage_from_another_spelling() -> None:
    assert is_damaged_age("03-Sep")
    assert not any(map(is_damaged_age, [*AGE_BINS, "70+"]))


def test_reads_genders_and_races_in_any_case() -> None:
    assert [parse_gender(name.upper()) for name in GENDERS] == list(GENDERS)
    assert [parse_race(name.lower().replace(" ", "_")) for name in RACES] == list(RACES)


@pytest.mark.parametrize("parse", [parse_age, parse_gender, parse_race])
@pytest.mark.parametrize("text", ["", "34", "Sep-10", "unknown"])
def test_refuses_what_it_does_not_know(parse: object, text: str) -> None:
    with pytest.raises(LabelError, match="is not one of"):
        parse(text)  # type: ignore[operator]
