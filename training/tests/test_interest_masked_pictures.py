"""Masked image modelling for timm's towers: hidden patches teach nothing of themselves, whatever the tower."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import timm
import torch
from torch import nn

from rapport_edge.errors import SettingsError
from rapport_training.demographic.recipe import MaskedImage
from rapport_training.masked_image.masks import draw_masks
from rapport_training.masked_image.objective import masked_image_objective
from rapport_training.masked_image.timm_head import TimmMaskedImageHead

VOCABULARY, SIZE = 7, 32
SMALL_VIT = {"img_size": SIZE, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2}
CONVOLUTIONAL = {"dims": (8, 16, 24, 32), "depths": (1, 1, 1, 1), "patch_size": 2, "stem_type": "patch"}
TOWERS: dict[str, tuple[str, dict[str, Any]]] = {
    "vit": ("vit_tiny_patch16_224", SMALL_VIT),
    "eva02": ("eva02_tiny_patch14_224", SMALL_VIT),
    "beit": ("beit_base_patch16_224", SMALL_VIT),
    "beit3": ("beit3_base_patch16_224", SMALL_VIT),
    "resnet": ("test_resnet", {}),
    "convnext": ("convnext_atto", CONVOLUTIONAL),
    "convnextv2": ("convnextv2_atto", CONVOLUTIONAL),
    "swin": (
        "swin_tiny_patch4_window7_224",
        {"img_size": SIZE, "window_size": 4, "embed_dim": 16, "depths": (1, 1), "num_heads": (1, 2)},
    ),
}
TOKENS = ("vit", "eva02", "beit", "beit3")


def tower(kind: str) -> tuple[nn.Module, TimmMaskedImageHead]:
    torch.manual_seed(0)
    name, options = TOWERS[kind]
    trunk = timm.create_model(name, num_classes=0, **options).eval()
    return trunk, TimmMaskedImageHead(trunk, SIZE, VOCABULARY, patch=8).eval()


@pytest.mark.parametrize("kind", TOWERS)
def test_what_is_hidden_cannot_be_seen(kind: str) -> None:
    trunk, head = tower(kind)
    assert head.hides_tokens == (kind in TOKENS)
    assert head.grid == 4
    mask = draw_masks("random", 3, 4, 6, np.random.default_rng(0))
    pixels = torch.randn(3, 3, SIZE, SIZE)
    covered = mask.view(3, 1, 4, 4).repeat_interleave(8, 2).repeat_interleave(8, 3)
    with torch.no_grad():
        scores = head(trunk, pixels, mask)
        hidden_changed = head(trunk, torch.where(covered, torch.randn_like(pixels), pixels), mask)
        seen_changed = head(trunk, torch.where(covered, pixels, torch.randn_like(pixels)), mask)
    assert scores.shape == (18, VOCABULARY)
    torch.testing.assert_close(hidden_changed, scores)
    assert not torch.allclose(seen_changed, scores, atol=1e-4)


@pytest.mark.parametrize("kind", ["eva02", "swin", "convnextv2"])
def test_the_loss_falls_below_chance_and_reaches_the_tower(kind: str) -> None:
    trunk, head = tower(kind)
    rng = np.random.default_rng(1)
    colours = torch.from_numpy(rng.integers(0, VOCABULARY, 24))
    hues = torch.from_numpy(rng.normal(size=(VOCABULARY, 3)).astype(np.float32))
    pixels = hues[colours][:, :, None, None].expand(-1, 3, SIZE, SIZE)  # the token is the picture's colour
    tokens = colours[:, None].expand(-1, 16)
    objective = masked_image_objective(head, trunk, MaskedImage(kind="random", masked_share=0.5))
    optimizer = torch.optim.AdamW([*trunk.parameters(), *head.parameters()], lr=3e-3)
    for _ in range(120):
        loss = objective(pixels, tokens, rng)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.6 * np.log(VOCABULARY)
    assert any(p.grad is not None and float(p.grad.abs().sum()) > 0 for p in trunk.parameters())


def test_a_normal_forward_pass_is_not_masked_afterwards() -> None:
    trunk, head = tower("eva02")
    pixels = torch.randn(2, 3, SIZE, SIZE)
    before = trunk(pixels)
    head(trunk, pixels, draw_masks("random", 2, 4, 8, np.random.default_rng(0)))
    torch.testing.assert_close(trunk(pixels), before)


def test_patches_must_divide_the_picture() -> None:
    trunk = timm.create_model("test_resnet", num_classes=0)
    with pytest.raises(SettingsError, match="do not divide into patches of 5"):
        TimmMaskedImageHead(trunk, SIZE, VOCABULARY, patch=5)
