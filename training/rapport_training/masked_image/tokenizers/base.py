"""The contract of image tokenizers."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor
from torch.nn import functional as F

from rapport_edge.errors import RapportError


class ImageTokenizerError(RapportError):
    """A tokenizer's file that cannot be read or written, or a training of one that failed."""


class ImageTokenizer(Protocol):
    """Gives each patch of a crop one of a fixed number of tokens.

    Attributes:
        vocabulary: how many tokens there are.
        digest: SHA-256 of the file, hexadecimal: what cached tokens are keyed by.
    """

    vocabulary: int
    digest: str

    def encode(self, crops: Tensor, grid: int) -> Tensor:
        """(n, 3, s, s) uint8 RGB -> (n, grid * grid) int64 on the CPU, row by row, each below `vocabulary`."""
        ...


def unit_pixels(crops: Tensor, size: int) -> Tensor:
    """(n, 3, s, s) uint8 -> (n, 3, size, size) float32 from 0 to 1, scaled without aliasing."""
    pixels = crops.float().div(255.0)
    if pixels.shape[-2:] == (size, size):
        return pixels
    return F.interpolate(pixels, (size, size), mode="bicubic", antialias=True).clamp(0.0, 1.0)
