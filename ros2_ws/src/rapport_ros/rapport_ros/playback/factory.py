"""Finds out what an input is and opens it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from PIL import Image

from rapport_ros.playback.astronaut import AstronautSource
from rapport_ros.playback.bag import BagSource, is_bag
from rapport_ros.playback.frames import FrameSource, SourceError
from rapport_ros.playback.pictures import PicturesSource
from rapport_ros.playback.video import AnimationSource, CameraSource, VideoSource


class SourceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What to play.

    Attributes:
        input: a video, a picture, a folder of pictures, a rosbag2, a camera (/dev/video0, or 0); "" is the astronaut.
        rate: frames per second; None keeps the material's own speed, which is 30 where it has none.
        topic: of a rosbag2; "" chooses.
        hold: seconds to show each picture of a folder.
    """

    input: str = ""
    rate: Annotated[float, msgspec.Meta(gt=0.0, le=240.0)] | None = None
    topic: str = ""
    hold: Annotated[float, msgspec.Meta(gt=0.0, le=60.0)] | None = None


def open_source(settings: SourceSettings) -> FrameSource:
    """The source that fits the input.

    Raises:
        SourceError: if there is nothing, or nothing that can be played.
    """
    if not settings.input:
        return AstronautSource(settings.rate)
    path = Path(f"/dev/video{settings.input}" if settings.input.isdigit() else settings.input).expanduser()
    if settings.input.isdigit() or path.is_char_device() or str(path).startswith("/dev/"):
        return CameraSource(path, settings.rate)
    if not path.exists():
        raise SourceError(f"{path}: no such file or folder; give a video, pictures, a rosbag2 or a camera")
    if is_bag(path):
        return BagSource(path, settings.topic, settings.rate)
    if path.is_dir():
        return PicturesSource(path, settings.rate, settings.hold)
    return _open_file(path, settings)


def _open_file(path: Path, settings: SourceSettings) -> FrameSource:
    """A picture, an animation or a video, told apart by their content."""
    frames = _pillow_frames(path)
    if frames > 1:
        return AnimationSource(path, settings.rate)
    if frames == 1:
        return PicturesSource(path, settings.rate, settings.hold)
    return VideoSource(path, settings.rate)


def _pillow_frames(path: Path) -> int:
    """Frames of a picture file; 0 for a file that is none."""
    try:
        with Image.open(path) as picture:
            return int(getattr(picture, "n_frames", 1))
    except (OSError, ValueError, SyntaxError):
        return 0
