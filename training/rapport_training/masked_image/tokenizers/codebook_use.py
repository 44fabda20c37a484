"""How faithful reconstructions are, and how much of the codebook they use."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class CodebookUse:
    """Counts over batches."""

    def __init__(self, vocabulary: int) -> None:
        self._counts = torch.zeros(vocabulary, dtype=torch.int64)
        self._squared_error, self._values = 0.0, 0

    def update(self, originals: Tensor, reconstructions: Tensor, codes: Tensor) -> None:
        """Takes a batch: pixels from 0 to 1, and the codes of any shape."""
        self._counts += torch.bincount(codes.flatten().cpu(), minlength=len(self._counts))
        error = reconstructions.clamp(0, 1) - originals
        self._squared_error += float(error.square().sum())
        self._values += error.numel()

    @property
    def perplexity(self) -> float:
        """Exp of the codes' entropy: how many codes, used equally, would be as varied; 1 to the vocabulary."""
        shares = self._counts[self._counts > 0].double() / self._counts.sum()
        return math.exp(float(-(shares * shares.log()).sum()))

    @property
    def codes_used(self) -> int:
        """Codes that occur at least once."""
        return int((self._counts > 0).sum())

    @property
    def psnr(self) -> float:
        """Peak signal-to-noise ratio in decibels: 10 log10(1 / mean squared error) of pixels from 0 to 1."""
        return 10 * math.log10(self._values / max(self._squared_error, 1e-12))

    def as_json(self) -> dict[str, float | int]:
        """The figures that stand beside a tokenizer's file."""
        vocabulary = len(self._counts)
        return {
            "psnr_db": round(self.psnr, 2),
            "perplexity": round(self.perplexity, 1),
            "vocabulary": vocabulary,
            "codes_used": self.codes_used,
            "codes_used_share": round(self.codes_used / vocabulary, 4),
        }
