"""The zero-shot head (Radford et al. 2021, CLIP): probabilities from the similarity of a face and of prompts."""

from __future__ import annotations

import numpy as np

from rapport_edge.bundle.manifest import Calibration
from rapport_edge.faces import FloatArray


def softmax(logits: FloatArray) -> FloatArray:
    """Softmax over the last axis; rows sum to 1."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True), dtype=np.float32)


def zero_shot_probabilities(embeddings: FloatArray, prompts: FloatArray, calibration: Calibration) -> FloatArray:
    """softmax(scale * embeddings @ prompts.T + bias).

    Args:
        embeddings: (n, d) float32, unit length.
        prompts: (k, d) float32, unit length; one per label (an ensemble's mean, made unit length again).
        calibration: scale and bias (k), fitted on held-out data.

    Returns:
        (n, k) float32, rows sum to 1.
    """
    bias = np.asarray(calibration.bias, dtype=np.float32)
    return softmax(np.float32(calibration.scale) * (embeddings @ prompts.T) + bias)
