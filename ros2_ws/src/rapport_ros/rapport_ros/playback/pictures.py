"""Picture files: one alone, or a folder of them in the order of their names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from rapport_edge.errors import ImageError
from rapport_edge.images import read_image
from rapport_ros.playback.frames import DEFAULT_RATE, FrameSource, SourceError, SourceFrame, raw_picture

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
#: A photograph alone is shown so long that a face in it can be followed.
SECONDS_OF_ONE_PICTURE = 3.0


class PicturesSource(FrameSource):
    """Picture files as the frames of one camera.

    Args:
        path: a picture, or a folder with pictures.
        rate: frames per second.
        hold: seconds to show each picture; None for one frame each, or `SECONDS_OF_ONE_PICTURE` for a picture alone.
    """

    def __init__(self, path: Path, rate: float | None = None, hold: float | None = None) -> None:
        self._rate = rate or DEFAULT_RATE
        self._files = picture_files(path)
        if not self._files:
            kinds = ", ".join(sorted(SUFFIXES))
            raise SourceError(f"{path}: this folder holds neither pictures ({kinds}) nor a rosbag2")
        if hold is None and len(self._files) == 1:
            hold = SECONDS_OF_ONE_PICTURE
        self._repeats = max(1, round((hold or 0.0) * self._rate))
        self._description = f"{path}, {len(self._files)} pictures, {len(self._files) * self._repeats} frames"

    @property
    def description(self) -> str:
        """What is played."""
        return self._description

    @property
    def length(self) -> int | None:
        """Each picture as often as it is shown."""
        return len(self._files) * self._repeats

    def frames(self) -> Iterator[SourceFrame]:
        """Each picture for one frame or as long as it is held."""
        number = 0
        for file in self._files:
            try:
                picture = raw_picture(read_image(file))
            except ImageError as error:
                raise SourceError(str(error)) from error
            for _ in range(self._repeats):
                yield SourceFrame(picture, number / self._rate)
                number += 1


def picture_files(path: Path) -> list[Path]:
    """The picture itself, or those in a folder; frame2 comes before frame10."""
    if path.is_file():
        return [path]
    return sorted((file for file in path.iterdir() if file.suffix.lower() in SUFFIXES), key=_natural_order)


def _natural_order(path: Path) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)]
