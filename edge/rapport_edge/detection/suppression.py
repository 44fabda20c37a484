"""Non-maximum suppression through OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from rapport_edge.faces import FloatArray


def non_maximum_suppression(boxes: FloatArray, scores: FloatArray, threshold: float) -> NDArray[np.intp]:
    """Indices of the boxes (n, 4: x_min, y_min, x_max, y_max) that survive, best score first."""
    if len(boxes) == 0:
        return np.empty(0, dtype=np.intp)
    corners_and_sizes = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    kept = cv2.dnn.NMSBoxes(corners_and_sizes.tolist(), scores.tolist(), 0.0, threshold)
    return np.asarray(kept, dtype=np.intp).reshape(-1)
