"""Chooses the annotated frames that a report shows: one per interval, however long the run is."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from rapport_edge.faces import ByteImage
from rapport_ros.playback.frames import encode_jpeg

WIDEST = 640
QUALITY = 82


@dataclass(frozen=True, slots=True)
class Shot:
    """One annotated frame.

    Attributes:
        moment: seconds since playing began.
        faces: how many are in it.
        jpeg: at most `WIDEST` pixels wide.
    """

    moment: float
    faces: int
    jpeg: bytes


class Gallery:
    """Keeps the first frame with the most faces of each interval. When there are too many, intervals double.

    Args:
        most: frames to keep.
        interval: seconds, at first.
    """

    def __init__(self, most: int = 12, interval: float = 1.0) -> None:
        self._most = most
        self._interval = interval
        self._shots: dict[int, Shot] = {}

    @property
    def shots(self) -> list[Shot]:
        """In their order."""
        return [self._shots[key] for key in sorted(self._shots)]

    def offer(self, image: ByteImage, faces: int, moment: float) -> None:
        """Keeps the frame if its interval has no better one.

        Args:
            image: (h, w, 3) uint8 RGB.
            faces: how many are in it.
            moment: seconds since playing began.
        """
        key = int(moment / self._interval)
        kept = self._shots.get(key)
        if kept is not None and kept.faces >= faces:
            return
        self._shots[key] = Shot(moment, faces, encode_jpeg(_at_most(image, WIDEST), QUALITY))
        while len(self._shots) > self._most:
            self._thin_out()

    def _thin_out(self) -> None:
        shots, self._shots = self.shots, {}
        self._interval *= 2.0
        for shot in shots:
            key = int(shot.moment / self._interval)
            if key not in self._shots or self._shots[key].faces < shot.faces:
                self._shots[key] = shot


def _at_most(image: ByteImage, width: int) -> ByteImage:
    if image.shape[1] <= width:
        return image
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
