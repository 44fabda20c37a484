"""Equation (4) on a batch: draw masks, run the masked pictures, classify what was hidden."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from rapport_training.demographic.recipe import MaskedImage
from rapport_training.masked_image.head import MaskedImageHead
from rapport_training.masked_image.loss import masked_image_loss
from rapport_training.masked_image.masks import draw_masks
from rapport_training.masked_image.timm_head import TimmMaskedImageHead


def masked_image_objective(
    head: MaskedImageHead | TimmMaskedImageHead, visual: nn.Module, settings: MaskedImage, micro_batch: int = 0
) -> Callable[[Tensor, Tensor, np.random.Generator], Tensor]:
    """The loss as a function of (n, 3, s, s) normalised pixels, their (n, patches) tokens and a generator of masks.

    Args:
        head: E_MIM and its classifier.
        visual: the image tower that the head was made for.
        settings: masks and reduction.
        micro_batch: pictures at a time, as in `memory.in_micro_batches`; 0 for all.
    """
    grid = head.grid
    masked = max(1, round(settings.masked_share * grid * grid))

    def part_loss(pixels: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
        logits = head(visual, pixels, mask)
        return len(pixels) * masked_image_loss(logits, tokens, mask, settings.reduction)

    def loss(pixels: Tensor, tokens: Tensor, rng: np.random.Generator) -> Tensor:
        mask = draw_masks(settings.kind, len(pixels), grid, masked, rng)  # on the CPU, as the head wants it
        if micro_batch == 0 or len(pixels) <= micro_batch:
            return part_loss(pixels, tokens, mask) / len(pixels)
        parts = zip(*(values.split(micro_batch) for values in (pixels, tokens, mask)), strict=True)
        # Every picture hides as many patches, so parts weigh by their pictures.
        losses = [checkpoint(part_loss, *part, use_reentrant=False) for part in parts]
        return torch.stack(losses).sum() / len(pixels)

    return loss
