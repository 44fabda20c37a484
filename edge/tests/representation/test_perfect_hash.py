"""Every key has a slot of its own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport_edge.representation.keys import keys_of
from rapport_edge.representation.perfect_hash import LOAD, NoPlaceError, build


@settings(max_examples=60)
@given(st.integers(0, 3000), st.integers(0, 2**32))
def test_slots_are_distinct(count, seed):
    hashes = keys_of([f"{seed}-{number}" for number in range(count)]).hashes
    function, slots = build(hashes)
    assert len(np.unique(slots)) == count
    assert count == 0 or (slots.min() >= 0 and slots.max() < function.slots <= max(1, count / LOAD))
    assert (function.slots_of(hashes[::-1]) == slots[::-1]).all()


def test_counting_ids_of_a_large_catalogue_do_not_crowd():
    function, slots = build(keys_of([str(number) for number in range(200_000)]).hashes)
    assert len(np.unique(slots)) == 200_000
    assert function.pilots.max() < 10_000


def test_equal_hashes_have_no_place():
    with pytest.raises(NoPlaceError):
        build(np.array([5, 7, 5], np.uint64))
