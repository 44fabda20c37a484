"""What is measured: two sizes, two transports, two numbers of faces."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

from rapport_ros.playback.frames import Transport
from rapport_ros.playback.scene import SceneSettings

SIZES = ((640, 480), (1280, 720))
TRANSPORTS: tuple[Transport, ...] = ("raw", "compressed")
FACES: tuple[Literal[1, 4], ...] = (1, 4)


@dataclass(frozen=True, slots=True)
class Case:
    """One measurement.

    Attributes:
        width, height: pixels.
        faces: in the scene.
    """

    width: int
    height: int
    transport: Transport
    faces: Literal[1, 4]

    @property
    def name(self) -> str:
        """Such as "640x480 raw 1 face"."""
        return f"{self.width}x{self.height} {self.transport} {self.faces} face{'s' if self.faces > 1 else ''}"

    def scene(self, seconds: float) -> SceneSettings:
        """What is played."""
        return SceneSettings(
            faces=self.faces,
            width=self.width,
            height=self.height,
            seconds=seconds,
            compressed=self.transport == "compressed",
        )


def all_cases() -> list[Case]:
    """Every combination."""
    combinations = itertools.product(SIZES, TRANSPORTS, FACES)
    return [Case(width, height, transport, faces) for (width, height), transport, faces in combinations]
