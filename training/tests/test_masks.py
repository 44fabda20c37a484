"""Masks: exactly as many patches as asked for, in blocks where blocks were asked for, the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport_edge.errors import SettingsError
from rapport_training.masked_image.masks import draw_masks

KINDS = st.sampled_from(["block", "random"])


@given(KINDS, st.integers(2, 16), st.integers(1, 9), st.integers(0, 1000), st.data())
@settings(max_examples=80, deadline=None)
def test_every_picture_hides_exactly_the_asked_number(kind, grid, count, seed, data) -> None:
    masked = data.draw(st.integers(1, grid * grid - 1))
    masks = draw_masks(kind, count, grid, masked, np.random.default_rng(seed))
    assert masks.shape == (count, grid * grid)
    assert masks.dtype == torch.bool
    assert (masks.sum(dim=1) == masked).all()


@given(KINDS, st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_equal_seeds_give_equal_masks_and_others_give_others(kind, seed) -> None:
    first, again, other = (draw_masks(kind, 4, 14, 75, np.random.default_rng(s)) for s in (seed, seed, seed + 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def neighbours_alike(masks: torch.Tensor, grid: int) -> float:
    """Share of the horizontal neighbours of hidden patches that are hidden, too."""
    pictures = masks.view(-1, grid, grid)
    pairs = pictures[:, :, :-1] & pictures[:, :, 1:]
    return float(pairs.sum() / pictures[:, :, :-1].sum())


def test_blocks_hold_together_and_random_patches_do_not() -> None:
    rng = np.random.default_rng(0)
    blocks, single = draw_masks("block", 500, 14, 75, rng), draw_masks("random", 500, 14, 75, rng)
    assert neighbours_alike(blocks, 14) > 0.8
    assert neighbours_alike(single, 14) == pytest.approx(74 / 195, abs=0.02)


@pytest.mark.parametrize("kind", ["block", "random"])
def test_every_patch_is_hidden_in_some_picture(kind) -> None:
    share = draw_masks(kind, 2000, 14, 75, np.random.default_rng(1)).float().mean(dim=0)
    assert share.min() > 0.02  # blocks reach the corners seldom, but they do
    assert share.mean() == pytest.approx(75 / 196)


def test_a_block_is_a_rectangle_of_at_least_sixteen_patches() -> None:
    for mask in draw_masks("block", 200, 14, 16, np.random.default_rng(2)).view(-1, 14, 14):
        rows, columns = mask.any(dim=1).sum(), mask.any(dim=0).sum()
        # One block of 16 or a few more, cut to 16: only its first or last row may be incomplete.
        assert (rows - 1) * columns < 16 <= rows * columns
        assert max(rows, columns) / min(rows, columns) <= 4  # 1 / 0.3, and the rounding to whole patches


@pytest.mark.parametrize("masked", [0, -1, 64, 65])
def test_all_or_no_patches_cannot_be_hidden(masked) -> None:
    with pytest.raises(SettingsError, match="of 64 patches"):
        draw_masks("block", 2, 8, masked, np.random.default_rng(0))


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(SettingsError, match="'stripes'"):
        draw_masks("stripes", 2, 8, 5, np.random.default_rng(0))
