"""The photograph of the astronaut Eileen Collins (NASA, public domain) that scikit-image carries, as a moving view."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import skimage.data

from rapport_edge.faces import ByteImage
from rapport_ros.playback.camera_view import CameraPath, Pose, view
from rapport_ros.playback.frames import DEFAULT_RATE, FrameSource, SourceFrame, raw_picture

WIDTH, HEIGHT = 640, 480

#: The face is at about (223, 115). The camera finds it, comes nearer, blurs, looks away and comes back.
PATH: Final = CameraPath(
    [
        (0.0, Pose(330.0, 200.0, 1.25)),
        (1.5, Pose(250.0, 170.0, 1.6, roll=2.0)),
        (3.0, Pose(230.0, 140.0, 2.2, roll=-3.0)),
        (3.6, Pose(218.0, 130.0, 2.2, roll=-3.0, blur=9.0)),
        (4.1, Pose(222.0, 132.0, 2.1, roll=-1.0, blur=9.0)),
        (4.7, Pose(225.0, 135.0, 2.0)),
        (5.8, Pose(200.0, 150.0, 1.7, roll=4.0)),
        (6.6, Pose(330.0, 400.0, 2.4)),
        (8.1, Pose(360.0, 410.0, 2.4, roll=-2.0)),
        (9.0, Pose(240.0, 140.0, 1.9)),
        (10.0, Pose(235.0, 130.0, 2.4, roll=3.0)),
        (11.0, Pose(230.0, 150.0, 1.6)),
    ]
)


def photograph() -> ByteImage:
    """(512, 512, 3) uint8 RGB."""
    return np.ascontiguousarray(skimage.data.astronaut())


class AstronautSource(FrameSource):
    """The default input: needs no file, and each run shows the same frames.

    Args:
        rate: frames per second.
    """

    def __init__(self, rate: float | None = None) -> None:
        self._rate = rate or DEFAULT_RATE

    @property
    def description(self) -> str:
        """What is played."""
        return f"the astronaut photograph through a moving camera, {WIDTH}x{HEIGHT}, {PATH.duration:.0f} s"

    @property
    def length(self) -> int:
        """The whole path."""
        return round(PATH.duration * self._rate)

    def frames(self) -> Iterator[SourceFrame]:
        """About 11 s of frames."""
        picture = photograph()
        for number in range(self.length):
            due = number / self._rate
            yield SourceFrame(raw_picture(view(picture, PATH.at(due), WIDTH, HEIGHT)), due)
