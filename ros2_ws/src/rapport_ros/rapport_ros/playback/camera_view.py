"""A photograph seen through a moving camera: pan, zoom, roll and blur along a path."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass

import cv2
import numpy as np

from rapport_edge.faces import ByteImage


@dataclass(frozen=True, slots=True)
class Pose:
    """Where the camera looks.

    Attributes:
        x, y: the photograph's pixel in the middle of the view.
        zoom: pixels of the view per pixel of the photograph.
        roll: degrees, counterclockwise.
        blur: sigma of the defocus, pixels of the view.
    """

    x: float
    y: float
    zoom: float
    roll: float = 0.0
    blur: float = 0.0


class CameraPath:
    """Poses at given times, and a smooth way between them.

    Args:
        poses: (seconds, pose), times ascending.
    """

    def __init__(self, poses: Sequence[tuple[float, Pose]]) -> None:
        self._times = np.array([seconds for seconds, _ in poses])
        self._values = np.array([astuple(pose) for _, pose in poses])

    @property
    def duration(self) -> float:
        """Seconds from the first pose to the last."""
        return float(self._times[-1] - self._times[0])

    def at(self, seconds: float) -> Pose:
        """The pose at a time; before the first and after the last the camera stands still."""
        index = int(np.clip(np.searchsorted(self._times, seconds, side="right") - 1, 0, len(self._times) - 2))
        start, end = self._times[index], self._times[index + 1]
        share = min(1.0, max(0.0, (seconds - start) / (end - start)))
        eased = (1.0 - math.cos(math.pi * share)) / 2.0
        values = self._values[index] + (self._values[index + 1] - self._values[index]) * eased
        return Pose(*values.tolist())


def view(photograph: ByteImage, pose: Pose, width: int, height: int) -> ByteImage:
    """What the camera sees: (height, width, 3) uint8 RGB.

    The camera is held back where it would look beyond the photograph's edge; what roll shows beyond it is mirrored.
    """
    zoom = max(pose.zoom, width / photograph.shape[1], height / photograph.shape[0])
    half_width, half_height = width / 2.0 / zoom, height / 2.0 / zoom
    x = min(max(pose.x, half_width), photograph.shape[1] - half_width)
    y = min(max(pose.y, half_height), photograph.shape[0] - half_height)
    matrix = cv2.getRotationMatrix2D((x, y), pose.roll, zoom)
    matrix[:, 2] += (width / 2.0 - x, height / 2.0 - y)
    seen = cv2.warpAffine(
        photograph, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    if pose.blur >= 0.3:
        seen = cv2.GaussianBlur(seen, (0, 0), pose.blur)
    return np.asarray(seen, dtype=np.uint8)
