"""Five-point alignment: the one crop that training, evaluation and the robot give to an encoder."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from rapport_edge.faces import ByteImage, FloatArray

#: Mean five-point face of ArcFace (Deng et al. 2019) in a 112 x 112 crop, as InsightFace and most recognisers use it.
ARCFACE_112 = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]],
    dtype=np.float32,
)


@dataclass(frozen=True, slots=True)
class CropTemplate:
    """Where the five landmarks go in a square crop.

    Attributes:
        size: side of the crop in pixels.
        scale: size of the face relative to ArcFace's crop: 1 fits recognisers, below 1 leaves room for hair and chin.
        shift_y: moves the face down (positive), as a share of the crop's side.
    """

    size: int
    scale: float = 1.0
    shift_y: float = 0.0

    def landmarks(self) -> FloatArray:
        """(5, 2) float32 target positions in pixels of the crop."""
        unit = (ARCFACE_112 + 0.5) / 112.0 - 0.5
        placed = unit * self.scale + np.array([0.5, 0.5 + self.shift_y], dtype=np.float32)
        return np.asarray(placed * self.size - 0.5, dtype=np.float32)


def similarity_transform(source: FloatArray, target: FloatArray) -> NDArray[np.float64]:
    """The rotation, uniform scale and translation that best maps source to target (Umeyama 1991), without reflection.

    Args:
        source: (n, 2), n at least 2.
        target: (n, 2), where each point goes.

    Returns:
        (2, 3) float64 matrix M with target ~ M[:, :2] @ source + M[:, 2].

    Raises:
        ValueError: if the source points coincide, or anything is not finite.
    """
    src = np.asarray(source, dtype=np.float64)
    dst = np.asarray(target, dtype=np.float64)
    src_mean, dst_mean = src.mean(axis=0), dst.mean(axis=0)
    # As complex numbers a similarity is one multiplication: dst = a * src + b. Least squares gives a in closed form.
    p = (src - src_mean) @ np.array([1.0, 1.0j])
    q = (dst - dst_mean) @ np.array([1.0, 1.0j])
    energy = float(np.vdot(p, p).real)
    if not np.isfinite(energy) or not np.isfinite(q).all() or energy < 1e-9:
        raise ValueError("landmarks coincide or are not finite; no similarity transform exists")
    a = np.vdot(p, q) / energy
    linear = np.array([[a.real, -a.imag], [a.imag, a.real]])
    return np.hstack([linear, (dst_mean - linear @ src_mean)[:, None]])


def warp(image: ByteImage, matrix: NDArray[np.float64], size: int, border: int = cv2.BORDER_CONSTANT) -> ByteImage:
    """Crop of size x size through `matrix` (image to crop); what lies outside the image is black by default.

    Shrinking by more than two is averaged down first (an image pyramid's level), because bilinear sampling of a large
    face would alias, and the crop would then depend on how close a person stands.
    """
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if scale < 0.5:
        image, matrix = _shrink_for(image, matrix, scale, size)
    return np.asarray(cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=border))


def align(image: ByteImage, landmarks: FloatArray, template: CropTemplate) -> ByteImage:
    """The aligned face: (size, size, 3) uint8 in the image's colour order.

    Args:
        image: (h, w, 3) uint8.
        landmarks: (5, 2), pixels of the image, in the order of `LANDMARK_NAMES`.
        template: where they go.

    Raises:
        ValueError: as `similarity_transform`.
    """
    return warp(image, similarity_transform(landmarks, template.landmarks()), template.size)


def resize_whole(image: ByteImage, size: int) -> ByteImage:
    """The whole picture squeezed into a crop: what is encoded when a face was given but not detected."""
    shrinking = image.shape[0] > size or image.shape[1] > size
    interpolation = cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (size, size), interpolation=interpolation))


def _shrink_for(
    image: ByteImage, matrix: NDArray[np.float64], scale: float, size: int
) -> tuple[ByteImage, NDArray[np.float64]]:
    """Cuts out the region that the crop shows and area-averages it by an integer factor."""
    factor = int(1.0 / scale)
    inverse = cv2.invertAffineTransform(matrix)
    corners = np.array([[0, 0, 1], [size, 0, 1], [0, size, 1], [size, size, 1]], dtype=np.float64) @ inverse.T
    height, width = image.shape[:2]
    x0, y0 = np.clip(np.floor(corners.min(axis=0)).astype(int) - factor, 0, [width - 1, height - 1])
    x1, y1 = np.clip(np.ceil(corners.max(axis=0)).astype(int) + factor, [x0 + 1, y0 + 1], [width, height])
    region = image[y0:y1, x0:x1]
    small_size = (max(1, (x1 - x0) // factor), max(1, (y1 - y0) // factor))
    small = np.asarray(cv2.resize(region, small_size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    step = np.array([(x1 - x0) / small_size[0], (y1 - y0) / small_size[1]])
    # Pixel centres: x = x0 + (u + 0.5) * step - 0.5.
    to_image = np.array([[step[0], 0.0, x0 + 0.5 * step[0] - 0.5], [0.0, step[1], y0 + 0.5 * step[1] - 0.5]])
    linear = matrix[:, :2] @ to_image[:, :2]
    offset = matrix[:, :2] @ to_image[:, 2] + matrix[:, 2]
    return small, np.hstack([linear, offset[:, None]])
