"""Fits an image of any size into a detector's working size without changing its proportions."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from rapport_edge.faces import ByteImage, FloatArray


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Where the image lies in the working picture: scaled from the top-left corner, padding right and below.

    Attributes:
        scale_x, scale_y: working pixels per image pixel; they differ by rounding only.
        size: width, height of the scaled image without padding.
        padded: width, height with padding, multiples of the detector's stride.
    """

    scale_x: float
    scale_y: float
    size: tuple[int, int]
    padded: tuple[int, int]

    def apply(self, image: ByteImage) -> ByteImage:
        """The working picture (padded height, padded width, 3), black where padded."""
        height, width = image.shape[:2]
        if (width, height) != self.size:
            shrinks = self.scale_x < 1.0
            image = np.asarray(
                cv2.resize(image, self.size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
            )
        right, bottom = self.padded[0] - self.size[0], self.padded[1] - self.size[1]
        if right or bottom:
            image = np.asarray(cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_CONSTANT))
        return image

    def to_image(self, points: FloatArray) -> FloatArray:
        """Maps (..., 2) pixel positions of the working picture back to the image (pixel centres at integers)."""
        scale = np.array([self.scale_x, self.scale_y], dtype=np.float32)
        return np.asarray((points + 0.5) / scale - 0.5, dtype=np.float32)


def fit(width: int, height: int, working_size: tuple[int, int], stride: int) -> Letterbox:
    """The letterbox of an image of width x height in `working_size` (width, height).

    The padded size is the smallest multiple of `stride` that holds the scaled image, so nothing is computed on padding
    that is not needed.
    """
    scale = min(working_size[0] / width, working_size[1] / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    padded = tuple(-(-side // stride) * stride for side in size)
    return Letterbox(size[0] / width, size[1] / height, size, (padded[0], padded[1]))
