"""How good a view of a face is, and whether it is good enough to be encoded."""

from __future__ import annotations

import math
from typing import Annotated

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from rapport_edge.faces import ByteImage, Detection, FaceQuality, FloatArray
from rapport_edge.head_pose import HeadPose, estimate_head_pose

#: Side in pixels of the square from brows to chin on which sharpness is measured, whatever the face's size: blur that
#: an encoder's small crop hides anyway should not count. Larger faces are shrunk to it, smaller ones enlarged.
SHARPNESS_SIDE = 64
#: Loss of detail under re-blurring (see `detail`) that counts as sharpness 0 and 1. Measured on 498 faces of FairFace:
#: the median is 0.49 for the picture as it is, 0.33 blurred by a Gaussian of sigma = 0.03 eye distances (1 pixel in
#: ArcFace's 112-pixel crop), 0.20 at 0.06, and 0.12 from 0.11 on.
DETAIL_OF_BLUR, DETAIL_OF_FOCUS = 0.12, 0.49
#: Face size in pixels from which on an encoder's crop (96 to 112 pixels) is not enlarged.
FULL_SIZE_PX = 112.0

Degrees = Annotated[float, msgspec.Meta(ge=0.0, le=90.0)]
Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]


class GateSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Views beyond these limits are not encoded.

    Attributes:
        min_size_px: smaller side of the box.
        min_sharpness: 0 to 1; 0.15 is a blur of about 0.07 eye distances.
        max_yaw, max_pitch: degrees from frontal, either way. Roll is no reason: alignment takes it out.
        min_visible: share of the box inside the image.
    """

    min_size_px: Annotated[float, msgspec.Meta(ge=1.0)] = 32.0
    min_sharpness: Share = 0.15
    max_yaw: Degrees = 50.0
    max_pitch: Degrees = 40.0
    min_visible: Share = 0.7


class QualityGate:
    """Says whether a view is worth an encoding, and if not, why."""

    #: Everything that `refusal` can return; counters use these words.
    REASONS = ("small", "truncated", "blurred", "yaw", "pitch")

    def __init__(self, settings: GateSettings | None = None) -> None:
        self._settings = settings or GateSettings()

    def refusal(self, quality: FaceQuality) -> str | None:
        """The first of `REASONS` that speaks against this view, or None if it may pass."""
        limits = self._settings
        failed = (
            quality.size_px < limits.min_size_px,
            quality.visible < limits.min_visible,
            quality.sharpness < limits.min_sharpness,
            abs(quality.yaw) > limits.max_yaw,
            abs(quality.pitch) > limits.max_pitch,
        )
        return next((reason for reason, fails in zip(self.REASONS, failed, strict=True) if fails), None)


def assess(image: ByteImage, detection: Detection) -> FaceQuality:
    """Quality of one view.

    Args:
        image: (h, w, 3) uint8 RGB.
        detection: a face in it; may reach beyond the image.

    Raises:
        ValueError: if the landmarks coincide or are not finite.
    """
    pose = estimate_head_pose(detection.landmarks)
    x0, y0, x1, y1 = detection.box.tolist()
    size = min(x1 - x0, y1 - y0)
    visible = visible_share(detection.box, image.shape[1], image.shape[0])
    sharpness = measure_sharpness(image, detection.landmarks)
    score = view_score(size, sharpness, pose, visible)
    return FaceQuality(size, sharpness, pose.yaw, pose.pitch, pose.roll, visible, score)


def view_score(size: float, sharpness: float, pose: HeadPose, visible: float) -> float:
    """One weight, 0 to 1: each factor alone can make a view useless.

    Size and sharpness count as their geometric mean, because a small face is also blurred in the crop and would else
    pay twice. Yaw and pitch count as the share of the face's front that is still turned to the camera.
    """
    enlarged = math.sqrt(min(1.0, max(0.0, size) / FULL_SIZE_PX) * sharpness)
    facing = max(0.0, math.cos(math.radians(pose.yaw)) * math.cos(math.radians(pose.pitch)))
    return enlarged * facing * visible


def visible_share(box: FloatArray, width: int, height: int) -> float:
    """Share of the box's area that lies inside an image of width x height, 0 to 1."""
    x0, y0, x1, y1 = box.tolist()
    area = (x1 - x0) * (y1 - y0)
    inside_x = max(0.0, min(x1, width) - max(x0, 0.0))
    inside_y = max(0.0, min(y1, height) - max(y0, 0.0))
    return min(1.0, inside_x * inside_y / area) if area > 0.0 else 0.0


def measure_sharpness(image: ByteImage, landmarks: FloatArray) -> float:
    """0 (blurred) to 1 (in focus) of the inner face; 0 when less than 8 pixels of it are in the image."""
    grey = _inner_face(image, landmarks)
    if grey is None:
        return 0.0
    share = (detail(grey) - DETAIL_OF_BLUR) / (DETAIL_OF_FOCUS - DETAIL_OF_BLUR)
    return min(1.0, max(0.0, share))


def detail(grey: NDArray[np.uint8]) -> float:
    """Share of the differences between neighbouring pixels that a blur of 5 pixels takes away, 0 to 1.

    One minus the blur effect of Crete et al. 2007 ("The blur effect: perception and estimation with a new no-reference
    perceptual blur metric"). Unlike the variance of the Laplacian it does not depend on contrast and light: between
    faces as they are and the same blurred by sigma = 0.03 eye distances it has an AUC of 0.92, the variance 0.89.
    """
    values = grey.astype(np.float32)
    shares = []
    for axis, window in ((0, (1, 5)), (1, (5, 1))):
        before = np.abs(np.diff(values, axis=axis))
        after = np.abs(np.diff(np.asarray(cv2.blur(values, window)), axis=axis))
        shares.append(float(np.maximum(before - after, 0.0).sum()) / max(float(before.sum()), 1e-6))
    return min(shares)


def _inner_face(image: ByteImage, landmarks: FloatArray) -> NDArray[np.uint8] | None:
    """Grey, upright, about SHARPNESS_SIDE pixels on a side where it is wholly inside the image."""
    right_eye, left_eye, _, right_mouth, left_mouth = (complex(x, y) for x, y in landmarks.tolist())
    eyes, mouth = (right_eye + left_eye) / 2.0, (right_mouth + left_mouth) / 2.0
    # In a turned face the eyes are near one another; in a nodding one eyes and mouth are. Their ratio is ArcFace's.
    half = 1.22 * max(abs(left_eye - right_eye), 0.87 * abs(mouth - eyes))
    centre = (eyes + mouth) / 2.0
    height, width = image.shape[:2]
    x0, y0 = max(0, round(centre.real - half)), max(0, round(centre.imag - half))
    x1, y1 = min(width, round(centre.real + half) + 1), min(height, round(centre.imag + half) + 1)
    if x1 - x0 < 8 or y1 - y0 < 8:
        return None
    factor = SHARPNESS_SIDE / (2.0 * half)
    size = (max(8, round((x1 - x0) * factor)), max(8, round((y1 - y0) * factor)))
    interpolation = cv2.INTER_AREA if factor < 0.5 else cv2.INTER_LINEAR
    grey = cv2.cvtColor(image[y0:y1, x0:x1], cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, size, interpolation=interpolation))
