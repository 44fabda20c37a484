"""The masked image modelling loss, equation (4) of the demographic user modelling paper."""

from __future__ import annotations

from typing import Literal

from torch import Tensor
from torch.nn import functional as F

from rapport_training.masked_image.head import masked_places

MaskReduction = Literal["mean", "sum"]


def masked_image_loss(logits: Tensor, tokens: Tensor, mask: Tensor, reduction: MaskReduction = "mean") -> Tensor:
    """Cross-entropy of the true tokens at the hidden patches.

    Args:
        logits: (K, vocabulary), from `MaskedImageHead`: the hidden patches of all pictures, row by row.
        tokens: (n, g * g) int64, of the whole pictures.
        mask: (n, g * g) bool with K True.
        reduction: "sum" is (4) to the letter, the sum over a picture's hidden patches, averaged over the pictures as
            (1) averages; "mean" is the average over all hidden patches, which BEiT and FaRL take: its size does not
            grow with the grid, and chance is ln(vocabulary).

    Returns:
        The loss in nats.
    """
    places = masked_places(mask).to(tokens.device, non_blocking=True)
    targets = tokens.flatten().index_select(0, places).to(logits.device, non_blocking=True)
    if reduction == "sum":
        return F.cross_entropy(logits, targets, reduction="sum") / len(mask)
    return F.cross_entropy(logits, targets)
