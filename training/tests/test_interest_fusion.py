"""The tensor fusion without its outer product is the literal one: (3), then the first layer of (4)."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport_training.interest.content.fusion import TensorFusion, literal_fusion

WIDTH = st.integers(1, 9)


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 7), p=WIDTH, q=WIDTH, hidden=WIDTH, seed=st.integers(0, 99))
def test_value_and_gradients_are_those_of_the_literal_form(n: int, p: int, q: int, hidden: int, seed: int) -> None:
    torch.manual_seed(seed)
    fusion = TensorFusion(p, q, hidden).double()
    a = torch.randn(n, p, dtype=torch.float64, requires_grad=True)
    b = torch.randn(n, q, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(n, hidden, dtype=torch.float64)
    found, expected = fusion(a, b), literal_fusion(a, b, fusion.literal_weight())
    torch.testing.assert_close(found, expected)
    of = [a, b, *fusion.parameters()]
    pairs = zip(
        torch.autograd.grad((found * weights).sum(), of),
        torch.autograd.grad((expected * weights).sum(), of),
        strict=True,
    )
    for ours, literal in pairs:
        torch.testing.assert_close(ours, literal)


def test_a_missing_part_lets_the_other_through() -> None:
    fusion = TensorFusion(4, 5, 6)
    text = torch.randn(3, 5)
    torch.testing.assert_close(fusion(torch.zeros(3, 4), text), text @ fusion.second.T + fusion.bias)


@pytest.mark.parametrize(("hidden", "kept"), [(4, 200 * 32 * 4), (64, 200 * 32 * 32)])
def test_what_is_kept_for_the_backward_pass_is_the_smaller_product(hidden: int, kept: int) -> None:
    sizes: list[int] = []
    fusion = TensorFusion(32, 32, hidden)
    a, b = torch.randn(200, 32, requires_grad=True), torch.randn(200, 32, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
        fusion(a, b)
    assert max(size for size in sizes if size % 200 == 0) == kept
