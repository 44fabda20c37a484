"""A moving scene with a known number of faces, for measurements: the astronaut, one or tiled."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec
import numpy as np

from rapport_edge.faces import ByteImage
from rapport_ros.playback.astronaut import photograph
from rapport_ros.playback.camera_view import Pose, view
from rapport_ros.playback.frames import (
    DEFAULT_RATE,
    FrameSource,
    Picture,
    SourceFrame,
    Transport,
    compress,
    raw_picture,
)

#: Seconds after which the camera's swing begins anew. It is drawn once and played in a loop, so that drawing costs
#: nothing while something is measured.
PERIOD = 2.0

Side = Annotated[int, msgspec.Meta(ge=64, le=4096)]


class SceneSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the scene shows.

    Attributes:
        faces: astronauts, tiled in rows and columns of equal number.
        width, height: pixels.
        seconds: length.
        compressed: the pictures are JPEG.
        rate: frames per second.
    """

    faces: Literal[1, 4, 9, 16] = 1
    width: Side = 640
    height: Side = 480
    seconds: Annotated[float, msgspec.Meta(gt=0.0, le=3600.0)] = 8.0
    compressed: bool = False
    rate: Annotated[float, msgspec.Meta(gt=0.0, le=240.0)] = DEFAULT_RATE


class SceneSource(FrameSource):
    """A swing of the camera over the scene, repeated."""

    def __init__(self, settings: SceneSettings) -> None:
        self._settings = settings
        count = round(PERIOD * settings.rate)
        astronaut = photograph()
        pictures = (raw_picture(scene(astronaut, settings, number / count)) for number in range(count))
        self._loop: list[Picture] = [compress(item) if settings.compressed else item for item in pictures]

    @property
    def description(self) -> str:
        """What is played."""
        settings = self._settings
        return f"{settings.faces} faces, {settings.width}x{settings.height} at {settings.rate:g} Hz"

    @property
    def length(self) -> int:
        """As the settings say."""
        return round(self._settings.seconds * self._settings.rate)

    @property
    def transport(self) -> Transport:
        """As the settings say."""
        return "compressed" if self._settings.compressed else "raw"

    def frames(self) -> Iterator[SourceFrame]:
        """The loop until the time is over."""
        for number, picture in zip(range(self.length), itertools.cycle(self._loop), strict=False):
            yield SourceFrame(picture, number / self._settings.rate)


def scene(picture: ByteImage, settings: SceneSettings, phase: float) -> ByteImage:
    """One view of the swing: (height, width, 3) uint8 RGB; `phase` 0 to 1 is once there and back."""
    tiles = math.isqrt(settings.faces)
    height, width = settings.height // tiles, settings.width // tiles
    canvas = np.zeros((settings.height, settings.width, 3), dtype=np.uint8)
    zoom = height / 320.0  # the face fills about a third of a tile's height
    for index in range(tiles * tiles):
        angle = 2.0 * math.pi * (phase + index / (tiles * tiles))
        across, along = math.cos(angle), math.sin(angle)
        pose = Pose(235.0 + 20.0 * across, 140.0 + 10.0 * along, zoom, 3.0 * along)
        y, x = height * (index // tiles), width * (index % tiles)
        canvas[y : y + height, x : x + width] = view(picture, pose, width, height)
    return canvas
