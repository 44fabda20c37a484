"""Equation (4) against a slow, literal reading in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport_training.masked_image.loss import masked_image_loss
from rapport_training.masked_image.masks import draw_masks


def literal(scores: torch.Tensor, tokens: torch.Tensor, mask: torch.Tensor) -> list[float]:
    """-sum over k in M of log p(q^k | masked image), per picture; scores (n, patches, vocabulary) of all patches."""
    losses = []
    for picture in range(len(scores)):
        total = 0.0
        for k in range(scores.shape[1]):
            if mask[picture, k]:
                normaliser = sum(math.exp(float(score)) for score in scores[picture, k])
                total -= math.log(math.exp(float(scores[picture, k, tokens[picture, k]])) / normaliser)
        losses.append(total)
    return losses


@given(st.integers(1, 5), st.integers(2, 4), st.integers(2, 9), st.integers(0, 1000), st.data())
@settings(max_examples=60, deadline=None)
def test_both_reductions_are_equation_4(n, grid, vocabulary, seed, data) -> None:
    masked = data.draw(st.integers(1, grid * grid - 1))
    generator = torch.Generator().manual_seed(seed)
    scores = 3 * torch.randn(n, grid * grid, vocabulary, generator=generator, dtype=torch.float64)
    tokens = torch.randint(vocabulary, (n, grid * grid), generator=generator)
    mask = draw_masks("random", n, grid, masked, np.random.default_rng(seed))
    of_pictures = literal(scores, tokens, mask)
    found = masked_image_loss(scores[mask], tokens, mask, "sum")
    assert float(found) == pytest.approx(sum(of_pictures) / n, rel=1e-10)
    mean = masked_image_loss(scores[mask], tokens, mask)
    assert float(mean) == pytest.approx(sum(of_pictures) / (n * masked), rel=1e-10)


def test_tokens_of_visible_patches_do_not_matter() -> None:
    mask = draw_masks("block", 3, 4, 5, np.random.default_rng(0))
    logits, tokens = torch.randn(15, 7), torch.randint(7, (3, 16))
    others = torch.where(mask, tokens, (tokens + 1) % 7)
    assert masked_image_loss(logits, tokens, mask) == masked_image_loss(logits, others, mask)


def test_equal_scores_give_chance() -> None:
    mask = draw_masks("block", 2, 14, 75, np.random.default_rng(0))
    loss = masked_image_loss(torch.zeros(150, 8192), torch.randint(8192, (2, 196)), mask)
    assert float(loss) == pytest.approx(9.011, abs=1e-3)
