"""Crops of a face in the size that the robot's other nodes expect (REP 155: /humans/faces/width x height)."""

from __future__ import annotations

import cv2
import numpy as np

from rapport_edge.alignment import CropTemplate, align
from rapport_edge.faces import ByteImage, Detection

#: Leaves room for hair and chin around ArcFace's tight crop.
ALIGNED_SCALE = 0.7


def cropped_face(image: ByteImage, detection: Detection, width: int, height: int) -> ByteImage | None:
    """The box as it is in the image, fitted into (height, width, 3) with its proportions kept, the rest black.

    None when no pixel of the box lies inside the image.
    """
    rows, columns = image.shape[:2]
    limits = np.array([columns, rows, columns, rows])
    x0, y0, x1, y1 = np.clip(np.rint(detection.box), 0, limits).astype(int)
    if x1 <= x0 or y1 <= y0:
        return None
    return letterbox(image[y0:y1, x0:x1], width, height)


def aligned_face(image: ByteImage, detection: Detection, width: int, height: int) -> ByteImage | None:
    """The upright face, eyes level, in (height, width, 3); None when its landmarks coincide."""
    template = CropTemplate(size=min(width, height), scale=ALIGNED_SCALE)
    try:
        square = align(image, detection.landmarks, template)
    except ValueError:
        return None
    return square if width == height else letterbox(square, width, height)


def letterbox(image: ByteImage, width: int, height: int) -> ByteImage:
    """The image scaled to fit (height, width, 3), centred on black."""
    scale = min(width / image.shape[1], height / image.shape[0])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    interpolation = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR
    resized = cv2.resize(image, size, interpolation=interpolation)
    canvas = np.zeros((height, width, 3), dtype=np.uint8)
    x, y = (width - size[0]) // 2, (height - size[1]) // 2
    canvas[y : y + size[1], x : x + size[0]] = resized
    return canvas
