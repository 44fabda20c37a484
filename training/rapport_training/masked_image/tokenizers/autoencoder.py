"""A small discrete autoencoder (van den Oord et al. 2017): pictures to a grid of codes and back."""

from __future__ import annotations

import itertools
from typing import Annotated, Literal, NamedTuple

import msgspec
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from vector_quantize_pytorch import VectorQuantize


class AutoencoderConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The shape of the network.

    Attributes:
        vocabulary: codes in the codebook.
        factor: pixels along a side that one code stands for.
        width: channels after the first convolution; twice and four times as many after the next ones.
        code_width: numbers per code. Few of them, on the unit sphere, keep most of the codebook in use (Yu et al.
            2022, ViT-VQGAN, Section 3.2).
    """

    vocabulary: Annotated[int, msgspec.Meta(ge=2, le=65536)] = 1024
    factor: Literal[4, 8, 16] = 8
    width: Annotated[int, msgspec.Meta(ge=8, le=512)] = 32
    code_width: Annotated[int, msgspec.Meta(ge=2, le=512)] = 16


class Reconstruction(NamedTuple):
    """What a forward pass gives: pixels as they went in, (n, g, g) codes, and the encoder's distance from its codes."""

    pixels: Tensor
    codes: Tensor
    commitment: Tensor


class Residual(nn.Module):
    """Two convolutions beside the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.path = nn.Sequential(
            nn.SiLU(),
            nn.Conv2d(channels, channels // 2, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(channels // 2, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w), unchanged in shape."""
        return x + self.path(x)


class DiscreteAutoencoder(nn.Module):
    """Encoder, codebook and decoder; the codebook follows the encoder's outputs as a moving average."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        halvings = config.factor.bit_length() - 1
        channels = [3, *(config.width * min(4, 2**stage) for stage in range(halvings))]
        deepest = channels[-1]
        down = [
            layer
            for inputs, outputs in itertools.pairwise(channels)
            for layer in (nn.Conv2d(inputs, outputs, 4, stride=2, padding=1), nn.SiLU())
        ]
        up = [
            layer
            for inputs, outputs in itertools.pairwise(reversed(channels))
            for layer in (nn.SiLU(), nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1))
        ]
        self.encoder = nn.Sequential(
            *down, Residual(deepest), Residual(deepest), nn.Conv2d(deepest, config.code_width, 1)
        )
        self.codebook = VectorQuantize(
            dim=config.code_width,
            codebook_size=config.vocabulary,
            decay=0.99,
            kmeans_init=True,
            use_cosine_sim=True,
            threshold_ema_dead_code=1,
            commitment_weight=0.25,
            accept_image_fmap=True,
            channel_last=False,
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(config.code_width, deepest, 3, padding=1), Residual(deepest), Residual(deepest), *up
        )

    def forward(self, pixels: Tensor) -> Reconstruction:
        """(n, 3, factor * g, factor * g) from 0 to 1."""
        quantised, codes, commitment = self.codebook(self.encoder(2 * pixels - 1))
        return Reconstruction((self.decoder(quantised) + 1) / 2, codes, commitment.sum())

    def loss(self, pixels: Tensor) -> tuple[Tensor, Reconstruction]:
        """Mean squared error of the pixels on the scale -1 to 1, and the encoder's distance from its codes."""
        result = self(pixels)
        return F.mse_loss(2 * result.pixels, 2 * pixels) + result.commitment, result

    @torch.no_grad()
    def codes(self, pixels: Tensor) -> Tensor:
        """(n, g, g) int64, without the decoder."""
        return self.codebook(self.encoder(2 * pixels - 1))[1]
