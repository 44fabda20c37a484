"""A picture that shows what a tokenizer keeps of faces."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

from rapport_edge.faces import ByteImage
from rapport_training.masked_image.tokenizers.autoencoder import DiscreteAutoencoder
from rapport_training.masked_image.tokenizers.base import unit_pixels

#: Faces per row, pairs of rows, and the side at which small crops are shown.
COLUMNS, ROWS, SHOWN_SIDE = 10, 3, 96
SHOWN = COLUMNS * ROWS


@torch.no_grad()
def reconstruction_png(model: DiscreteAutoencoder, crops: Tensor) -> bytes:
    """A PNG of originals, each row above the row of its reconstructions.

    Args:
        model: in evaluation mode.
        crops: (n, 3, s, s) uint8 RGB; the first 30 are shown.
    """
    device = next(model.parameters()).device
    pixels = unit_pixels(crops[:SHOWN].to(device), crops.shape[-1])
    pairs = [(part, model(part).pixels) for part in pixels.split(COLUMNS)]
    rows = [_strip(row) for pair in pairs for row in pair]
    width = max(row.shape[1] for row in rows)
    sheet = np.concatenate([np.pad(row, ((0, 2), (0, width - row.shape[1]), (0, 0))) for row in rows])
    ok, encoded = cv2.imencode(".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
    assert ok
    return encoded.tobytes()


def _strip(pixels: Tensor) -> ByteImage:
    """(n, 3, s, s) from 0 to 1 -> one (side, n * side, 3) uint8 picture."""
    bytes_ = (pixels.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    side = max(SHOWN_SIDE, bytes_.shape[1])
    faces = [cv2.resize(face, (side, side), interpolation=cv2.INTER_CUBIC) for face in bytes_]
    return np.concatenate(faces, axis=1)
