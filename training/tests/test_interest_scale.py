"""The page about the paper's size says what its arithmetic says."""

from __future__ import annotations

import re
from pathlib import Path

from rapport_training.interest.scale import Assumed, Paper, centre_bytes, lines, negatives, ring_bytes

PAGE = (Path(__file__).parents[1] / "docs" / "scale.md").read_text()


def test_the_page_has_the_table_as_it_is_computed():
    table = [f"| {what} | {amount} |" for what, amount in lines(Paper(), Assumed())]
    assert PAGE.split("|---|---|\n")[-1].splitlines() == table


def test_every_amount_of_the_table_is_derived_in_the_text():
    text = re.sub(r"\s+", " ", PAGE.partition("## The table")[0])
    assert [what for what, amount in lines(Paper(), Assumed()) if amount not in text] == []


def test_negatives_are_those_of_the_paper():
    assert negatives(1024, 1, 10) == 2 * 1024 * 11 - 1
    assert negatives(1024, 40, 10) == 901_119


def test_small_cases_by_hand():
    assert ring_bytes(1, 2) == 4  # half of it sent twice
    assert centre_bytes(9, 4, 4) == 10 * 32 + 4.5
