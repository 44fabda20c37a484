"""The recurrence by hand where only a part of it is used, and where its graph is used again."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from rapport_training.interest.ctr.models.gru import AttentionalGru
from rapport_training.interest.ctr.positions import Packed, Padded
from rapport_training.interest.ctr.step_order import StepOrder

LENGTHS = torch.tensor([3, 0, 5, 1, 3])
AT = Packed(LENGTHS, 5)


def answers() -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """States and last states packed, the same padded, and what they were computed from."""
    torch.manual_seed(5)
    gru = AttentionalGru(4).double()
    values = torch.randn(len(AT.rows), 4, dtype=torch.double, requires_grad=True)
    weights = torch.rand(len(AT.rows), dtype=torch.double, requires_grad=True)
    found = gru(values, weights, AT)
    states, last = gru(AT.pad(values), AT.pad(weights), Padded(torch.arange(5) < LENGTHS[:, None]))
    return list(found), [AT.unpad(states), last], [values, weights, *gru.parameters()]


@pytest.mark.parametrize("part", [0, 1], ids=["states", "last"])
def test_gradients_of_one_of_both_answers(part: int) -> None:
    found, expected, inputs = answers()
    seed = torch.randn_like(expected[part])
    torch.testing.assert_close(
        torch.autograd.grad(found[part], inputs, seed), torch.autograd.grad(expected[part], inputs, seed)
    )


def test_a_graph_that_is_walked_twice_gives_the_same_gradients() -> None:
    found, _, inputs = answers()
    seeds = [torch.randn_like(part) for part in found]
    first = torch.autograd.grad(found, inputs, seeds, retain_graph=True)
    torch.testing.assert_close(torch.autograd.grad(found, inputs, seeds), first, rtol=0, atol=0)


def test_steps_take_the_longest_rows_first() -> None:
    order = StepOrder.of(LENGTHS, AT.starts, AT.width)
    assert order.counts == [4, 3, 3, 1, 1]
    assert order.rows.tolist() == [2, 0, 4, 3]
    assert order.positions[order.last].tolist() == [7, 2, 11, 8]
    assert order.positions[order.places].tolist() == list(range(12))
