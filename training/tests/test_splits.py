"""Splits: every picture in exactly one, whatever the order and the company that it comes in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapport_edge.errors import SettingsError
from rapport_training.data.builder import distinct
from rapport_training.data.rows import SourceRow, content_hash
from rapport_training.data.schema import SPLITS
from rapport_training.data.splits import Shares, split_of
from rapport_training.data.summary import Summary

PICTURES = st.lists(st.binary(min_size=1, max_size=2), max_size=60)
SHARES = st.tuples(*[st.floats(0.01, 0.98)] * 3).map(lambda parts: Shares(*(part / sum(parts) for part in parts)))


def rows(pictures: list[bytes], shares: Shares, seed: int, split: str = "") -> Iterator[SourceRow]:
    for number, picture in enumerate(pictures):
        yield SourceRow(str(number), picture, "", split or split_of(content_hash(picture), shares, seed))


def contents(written: list[SourceRow]) -> dict[str, str]:
    return {row.content: row.split for row in written}


@given(PICTURES, SHARES, st.integers(0, 5), st.randoms())
def test_the_order_of_the_source_decides_nothing(pictures, shares, seed, random) -> None:
    shuffled = random.sample(pictures, len(pictures))
    first, second = (list(distinct(rows(order, shares, seed), Summary())) for order in (pictures, shuffled))
    assert contents(first) == contents(second)
    assert len(first) == len(contents(first)) == len(set(pictures))


@given(PICTURES, PICTURES, SHARES)
def test_a_picture_of_the_test_source_is_in_no_other_split(test, others, shares) -> None:
    summary = Summary()
    source = [*rows(test, shares, 0, "test"), *rows(others, Shares(0.9, 0.1, 0.0), 0)]
    written = contents(list(distinct(source, summary)))
    assert all(written[content_hash(picture)] == "test" for picture in test)
    assert {written[content_hash(picture)] for picture in others if picture not in test} <= {"train", "val"}
    assert summary.duplicates == len(source) - len(written)
    assert summary.duplicates_across_splits == sum(picture in test for picture in others)


@pytest.mark.parametrize("seed", [0, 1])
def test_shares_come_out_as_asked(seed: int) -> None:
    shares = Shares(0.8, 0.15, 0.05)
    found = [split_of(hashlib.sha256(str(number).encode()).hexdigest(), shares, seed) for number in range(20_000)]
    for name in SPLITS:
        assert found.count(name) / len(found) == pytest.approx(getattr(shares, name), abs=0.01)


@given(st.binary(), st.floats(0.01, 0.4), st.floats(0.01, 0.5))
def test_a_larger_validation_split_keeps_what_a_smaller_one_had(picture, smaller, more) -> None:
    content = content_hash(picture)
    if split_of(content, Shares(1 - smaller, smaller, 0.0)) == "val":
        assert split_of(content, Shares(1 - smaller - more, smaller + more, 0.0)) == "val"
        assert int(content[:8], 16) / 16**8 < smaller


def test_a_seed_shuffles() -> None:
    shares = Shares(0.5, 0.25, 0.25)
    hashes = [content_hash(bytes([number])) for number in range(200)]
    assert [split_of(content, shares, 1) for content in hashes] != [split_of(content, shares, 2) for content in hashes]


@pytest.mark.parametrize("text", ["", "0.8", "0.8,0.2", "0.8,0.1,0.2", "1,0,0", "a,b,c", "0.8,0.3,-0.1", "nan,0.5,0.5"])
def test_shares_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"0\.8,0\.1,0\.1"):
        Shares.parse(text)
