"""Masked image modelling for timm's towers: the same masks, tokens and loss as `head`, other ways to hide a patch.

A vision transformer (ViT, EVA-02, BEiT, BEiT-3) sees a learned token in place of a hidden patch, as in BEiT. A
convolutional or hierarchical tower (ResNet, ConvNeXt, Swin) has no patches to replace: there the pixels of hidden
patches take one learned colour before the tower sees them, in the manner of SimMIM (Xie et al. 2022), and each cell of
its last map answers for the patches that lie in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from timm.models.beit import Beit
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F

from rapport_edge.errors import SettingsError
from rapport_training.masked_image.head import masked_places

_INITIAL_STD = 0.02

#: Widest E_MIM: the last map of ResNet-50 has 2048 channels, more than a block on a grid of patches should cost.
_MAX_WIDTH = 768


class TimmMaskedImageHead(nn.Module):
    """What masked image modelling adds to a tower of timm's.

    Attributes:
        grid: patches along a side.
        hides_tokens: whether patches are hidden as tokens; otherwise as pixels.
    """

    def __init__(self, trunk: nn.Module, image_size: int, vocabulary: int, patch: int, layers: int = 1) -> None:
        """Builds a head with random weights.

        Args:
            trunk: timm's model; it is read, not kept.
            image_size: side of the pictures.
            vocabulary: tokens to choose from.
            patch: side of a patch in pixels, for towers that have none of their own.
            layers: transformer blocks of E_MIM.

        Raises:
            SettingsError: if patches do not divide the picture, or the model has no map of features.
        """
        super().__init__()
        self.hides_tokens = isinstance(trunk, (VisionTransformer, Eva, Beit))
        side = _patch_of(trunk) if self.hides_tokens else patch
        if image_size % side or image_size // side < 2:
            raise SettingsError(f"pictures of {image_size} pixels do not divide into patches of {side}")
        self.grid = image_size // side
        channels, cells = _last_map_size(trunk, image_size)
        width = min(channels, _MAX_WIDTH)
        self._shuffle = -(-self.grid // cells)
        self.hidden_value = nn.Parameter(torch.zeros(channels if self.hides_tokens else 3))
        self.expand = nn.Conv2d(channels, width * self._shuffle**2, kernel_size=1)
        block = nn.TransformerEncoderLayer(
            width, max(1, width // 64), 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(block, layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.lm_head = nn.Linear(width, vocabulary)
        nn.init.normal_(self.lm_head.weight, std=_INITIAL_STD)
        nn.init.zeros_(self.lm_head.bias)
        if self.hides_tokens:
            nn.init.normal_(self.hidden_value, std=_INITIAL_STD)

    def forward(self, trunk: nn.Module, pixels: Tensor, mask: Tensor) -> Tensor:
        """Scores of the tokens at the masked places.

        Args:
            trunk: the tower.
            pixels: (n, 3, s, s), normalised.
            mask: (n, grid * grid) bool, True where a patch is hidden.

        Returns:
            (K, vocabulary) logits of the K places that are True in `mask`, row by row.
        """
        hidden = mask.to(pixels.device, non_blocking=True)
        if self.hides_tokens:
            with _tokens_hidden(trunk, hidden, self.hidden_value):
                features = last_map(trunk, pixels)
        else:
            features = last_map(trunk, self._hide_pixels(pixels, hidden))
        cells = F.pixel_shuffle(self.expand(features), self._shuffle)
        if cells.shape[-1] != self.grid:
            cells = F.adaptive_avg_pool2d(cells, self.grid)
        patches = self.blocks(cells.flatten(2).transpose(1, 2)).flatten(0, 1)
        chosen = patches.index_select(0, masked_places(mask).to(patches.device, non_blocking=True))
        return self.lm_head(self.norm(chosen))

    def _hide_pixels(self, pixels: Tensor, hidden: Tensor) -> Tensor:
        squares = hidden.view(-1, 1, self.grid, self.grid).float()
        covered = F.interpolate(squares, size=pixels.shape[-2:], mode="nearest").bool()
        return torch.where(covered, self.hidden_value.to(pixels.dtype).view(1, 3, 1, 1), pixels)


def last_map(trunk: nn.Module, pixels: Tensor) -> Tensor:
    """(n, channels, h, w): the last stage's or block's output, without the final norm."""
    found: Any = trunk.forward_intermediates(  # type: ignore[operator]
        pixels, indices=1, norm=False, output_fmt="NCHW", intermediates_only=True
    )
    return found[-1]


@contextmanager
def _tokens_hidden(trunk: nn.Module, hidden: Tensor, token: Tensor) -> Iterator[None]:
    """Within it, `trunk` sees `token` instead of hidden patches, before it adds position embeddings."""

    def replace(_module: nn.Module, _inputs: Any, patches: Tensor) -> Tensor:
        return torch.where(hidden.reshape(*patches.shape[:-1], 1), token.to(patches.dtype), patches)

    handle = trunk.patch_embed.register_forward_hook(replace)
    try:
        yield
    finally:
        handle.remove()


def _patch_of(trunk: nn.Module) -> int:
    return int(trunk.patch_embed.patch_size[0])  # type: ignore[union-attr, index]


def _last_map_size(trunk: nn.Module, image_size: int) -> tuple[int, int]:
    """Channels and side of the last map."""
    if not hasattr(trunk, "forward_intermediates"):
        raise SettingsError(
            f"masked image modelling needs a tower with a map of features, not {type(trunk).__name__}; leave "
            "masked_image out of the recipe, or take a ResNet, ConvNeXt, Swin or vision transformer"
        )
    training = trunk.training
    with torch.no_grad():
        shape = last_map(trunk.eval(), torch.zeros(1, 3, image_size, image_size)).shape
    trunk.train(training)
    return int(shape[1]), int(shape[2])
