"""Keys of 16 bytes: equal for equal ids, and for no others."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapport_edge.representation import CentreError
from rapport_edge.representation.keys import checked_ids, hash_words, keys_of, words_of

# Around the length at which a key stops to be the id itself, and with characters of one to four bytes.
IDS = st.lists(st.one_of(st.text(max_size=20), st.text("aé€𝄞\0", min_size=3, max_size=17)), max_size=30)


@given(IDS)
def test_keys_are_equal_exactly_where_ids_are(ids):
    words = words_of(ids)
    assert len({row.tobytes() for row in words}) == len(set(ids))
    for position, item in enumerate(ids):
        assert (words[position] == words_of([item])[0]).all()


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20), min_size=1))
def test_arrays_give_the_keys_of_their_strings(ids):
    expected = words_of(ids)
    assert (words_of(np.array([item.encode() for item in ids], dtype="S")) == expected).all()
    assert (words_of(np.array(ids, dtype="U")) == expected).all()


def test_half_a_character_is_no_item_but_may_be_asked_for():
    assert len(keys_of(["\ud800", "b"])) == 2
    with pytest.raises(CentreError, match="item 1"):
        checked_ids(["a", "\ud800"])


def test_no_key_is_that_of_a_free_slot():
    # A slot is free where its key is all ones: 0xff begins no character of UTF-8, and ends no digest.
    words = words_of(["", "x" * 15, "x" * 16, "\U0010ffff" * 4])
    assert not (words == np.uint64(0xFFFFFFFFFFFFFFFF)).all(axis=1).any()


@pytest.mark.parametrize(
    ("ids", "match"), [(["a", ""], "item 1"), (["a\0"], "NUL"), ([7], "id 7"), (["b", "a", "b"], "2 times")]
)
def test_what_cannot_be_an_id_is_refused(ids, match):
    with pytest.raises(CentreError, match=match):
        checked_ids(ids)


def test_a_nul_does_not_make_an_id_of_an_array_shorter():
    words = words_of(np.array([b"a" * 15 + b"\0xyz", b"a" * 15, b"a" * 15 + b"\0\0\0z"]))
    assert len({row.tobytes() for row in words}) == 3


def test_another_seed_separates_ids_whose_hashes_are_equal():
    """Found by solving the hash for the second half; a seed that is added after the halves would not part them."""
    words = words_of(["item0001abcdefg", "1kocdtzyqs}v}yA"])
    assert len(set(hash_words(words).tolist())) == 1
    assert all(len(set(hash_words(words, seed).tolist())) == 2 for seed in range(1, 16))
