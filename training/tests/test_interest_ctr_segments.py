"""Sums over equal indexes, as GPUs take them and as CPUs do."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport_training.interest.ctr.segments import Rows, sorted_sum


@settings(deadline=None, max_examples=25)
@given(indexes=st.lists(st.integers(0, 4), max_size=40))
def test_both_ways_to_sum_rows_give_the_same_bits(indexes: list[int]) -> None:
    places = torch.tensor(indexes, dtype=torch.int64)
    table, values = torch.zeros(5, 3, requires_grad=True), torch.randn(len(places), 3)
    (found,) = torch.autograd.grad(Rows.apply(table, places), table, values)
    torch.testing.assert_close(found, sorted_sum(values, places, 5), rtol=0, atol=0)
    torch.testing.assert_close(found, torch.nn.functional.one_hot(places, 5).float().t() @ values)
