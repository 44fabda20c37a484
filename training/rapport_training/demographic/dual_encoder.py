"""A dual encoder with everything that it needs to look at a face or read a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from rapport_edge.alignment import CropTemplate
from rapport_edge.faces import FloatArray
from rapport_training.demographic.dataset import FaceCrops, crop_loader
from rapport_training.demographic.model import CLIP, Tokenizer
from rapport_training.demographic.pixels import Pixels, normalise

if TYPE_CHECKING:
    from rapport_training.data.user_faces import UserFaces

_BATCH = 64


@dataclass(frozen=True)
class DualEncoder:
    """An image tower and a text tower that embed into one space.

    Attributes:
        name: for tables and plots.
        model: in evaluation mode.
        tokenizer: sentences -> (n, context) int64.
        template: the crop that the image tower takes.
        pixels: how the crop's pixels become numbers.
    """

    name: str
    model: CLIP
    tokenizer: Tokenizer
    template: CropTemplate
    pixels: Pixels

    @torch.no_grad()
    def embed_faces(self, faces: UserFaces, rows: NDArray[np.int64] | None = None, workers: int = 0) -> FloatArray:
        """(n, d) unit vectors of aligned faces, all or those of `rows`."""
        chosen = np.arange(len(faces)) if rows is None else rows
        crops = FaceCrops(faces, chosen, self.template, seed=None)
        loader = crop_loader(crops, _BATCH, workers)
        parts = [self.embed_crops(batch[0]).cpu().numpy() for batch in tqdm(loader, unit="batch", disable=None)]
        return np.concatenate(parts)

    @torch.no_grad()
    def embed_crops(self, crops: Tensor) -> Tensor:
        """(n, 3, s, s) uint8 -> (n, d) unit vectors."""
        device = self.model.logit_scale.device
        return F.normalize(self.model.encode_image(normalise(crops.to(device), self.pixels)), dim=-1)

    @torch.no_grad()
    def embed_texts(self, sentences: Sequence[str]) -> FloatArray:
        """(n, d) unit vectors."""
        device = self.model.logit_scale.device
        parts = []
        for start in range(0, len(sentences), _BATCH):
            tokens = self.tokenizer(list(sentences[start : start + _BATCH])).to(device)
            parts.append(self.model.encode_text(tokens, normalize=True).cpu().numpy())
        return np.concatenate(parts)
