"""Video files and cameras through OpenCV, animated pictures through Pillow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageSequence, UnidentifiedImageError

from rapport_edge.faces import ByteImage
from rapport_ros.playback.frames import DEFAULT_RATE, FrameSource, SourceError, SourceFrame, raw_picture

#: Beyond it a container's frame rate is a time base, not a rate.
FASTEST = 240.0
#: Some animations give no duration, or less than a display can show; browsers take a tenth of a second then.
SHORTEST_PICTURE_MS, USUAL_PICTURE_MS = 20, 100


class VideoSource(FrameSource):
    """A video file, at its own speed unless a rate is given."""

    def __init__(self, path: Path, rate: float | None = None) -> None:
        self._path = path
        capture = self._open()
        stated = float(capture.get(cv2.CAP_PROP_FPS))
        self._rate = rate or (stated if 0.0 < stated <= FASTEST else DEFAULT_RATE)
        size = f"{capture.get(cv2.CAP_PROP_FRAME_WIDTH):.0f}x{capture.get(cv2.CAP_PROP_FRAME_HEIGHT):.0f}"
        self._description = f"{path}, {size} at {self._rate:g} Hz"
        self._length = max(0, round(capture.get(cv2.CAP_PROP_FRAME_COUNT))) or None
        capture.release()

    @property
    def description(self) -> str:
        """What is played."""
        return self._description

    @property
    def length(self) -> int | None:
        """What the container says, which may be a frame too many."""
        return self._length

    def frames(self) -> Iterator[SourceFrame]:
        """All frames that can be decoded."""
        capture = self._open()
        number = 0
        try:
            while (image := _next_image(capture)) is not None:
                yield SourceFrame(raw_picture(image), number / self._rate)
                number += 1
        finally:
            capture.release()
        if number == 0:
            raise SourceError(f"{self._path}: no frame of this video can be decoded; is it cut off?")

    def _open(self) -> cv2.VideoCapture:
        capture = cv2.VideoCapture(str(self._path))
        if not capture.isOpened():
            raise SourceError(f"{self._path}: neither a video nor a picture that can be read; is it cut off?")
        return capture


class AnimationSource(FrameSource):
    """An animated GIF, PNG or WebP, at its own speed unless a rate is given."""

    def __init__(self, path: Path, rate: float | None = None) -> None:
        self._path = path
        self._rate = rate
        with self._open() as animation:
            self._length = int(getattr(animation, "n_frames", 1))
            self._description = f"{path}, {animation.width}x{animation.height}, {self._length} frames"

    @property
    def description(self) -> str:
        """What is played."""
        return self._description

    @property
    def length(self) -> int | None:
        """All frames."""
        return self._length

    def frames(self) -> Iterator[SourceFrame]:
        """All frames, composed as a viewer would show them."""
        elapsed = 0.0
        with self._open() as animation:
            try:
                for picture in ImageSequence.Iterator(animation):
                    image = np.array(picture.convert("RGB"), dtype=np.uint8)
                    yield SourceFrame(raw_picture(image), elapsed)
                    elapsed += 1.0 / self._rate if self._rate else _shown_ms(picture) / 1e3
            except (OSError, ValueError, SyntaxError) as error:
                raise SourceError(f"{self._path}: damaged after {elapsed:.1f} s: {error}") from error

    def _open(self) -> Image.Image:
        try:
            return Image.open(self._path)
        except (OSError, UnidentifiedImageError) as error:
            raise SourceError(f"{self._path}: not an animation that can be read: {error}") from error


class CameraSource(FrameSource):
    """A camera that OpenCV opens; endless.

    Args:
        device: /dev/videoN.
        rate: asked of the camera, which may have its own idea.
    """

    def __init__(self, device: Path, rate: float | None = None) -> None:
        if not device.exists():
            present = ", ".join(sorted(str(path) for path in Path("/dev").glob("video*"))) or "none"
            raise SourceError(f"no camera at {device}; cameras here: {present}")
        self._device = device
        self._rate = rate or DEFAULT_RATE

    @property
    def description(self) -> str:
        """What is played."""
        return f"camera {self._device}"

    @property
    def length(self) -> int | None:
        """Endless."""
        return None

    def frames(self) -> Iterator[SourceFrame]:
        """Pictures as the camera gives them."""
        capture = cv2.VideoCapture(str(self._device))
        try:
            if not capture.isOpened():
                raise SourceError(f"camera {self._device} cannot be opened; does another program use it?")
            capture.set(cv2.CAP_PROP_FPS, self._rate)
            while (image := _next_image(capture)) is not None:
                yield SourceFrame(raw_picture(image), due=0.0)
            raise SourceError(f"camera {self._device} gives no picture any more")
        finally:
            capture.release()


def _next_image(capture: cv2.VideoCapture) -> ByteImage | None:
    """The next frame as RGB, or None at the end."""
    found, image = capture.read()
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8) if found else None


def _shown_ms(picture: Image.Image) -> float:
    shown = float(picture.info.get("duration", 0.0))
    return shown if shown >= SHORTEST_PICTURE_MS else USUAL_PICTURE_MS
