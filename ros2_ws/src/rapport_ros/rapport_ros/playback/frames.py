"""What a source of frames gives: pictures as messages carry them, and when each is due."""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import simplejpeg

from rapport_edge.errors import RapportError
from rapport_edge.faces import ByteImage
from rapport_edge.images import decode_raw

Transport = Literal["raw", "compressed"]

#: Frames per second of material that has no timing of its own.
DEFAULT_RATE = 30.0
JPEG_QUALITY = 90


class SourceError(RapportError):
    """An input that cannot be played: nothing there, not readable, or no pictures in it."""


@dataclass(frozen=True, slots=True)
class RawPicture:
    """The fields of a sensor_msgs/Image; `data` is an array('B'), which rclpy copies in one piece."""

    data: array[int]
    encoding: str
    width: int
    height: int
    step: int
    is_bigendian: bool = False


@dataclass(frozen=True, slots=True)
class CompressedPicture:
    """The fields of a sensor_msgs/CompressedImage."""

    data: array[int]
    format: str


Picture: TypeAlias = RawPicture | CompressedPicture


@dataclass(frozen=True, slots=True)
class SourceFrame:
    """One picture and its time.

    Attributes:
        picture: raw or compressed.
        due: seconds after the first frame; 0.0 for a live picture, which is due at once.
        stamp_ns: the recorded stamp, nanoseconds since 1970; None for pictures that get the time of their publication.
        frame_id: the camera's frame.
    """

    picture: Picture
    due: float
    stamp_ns: int | None = None
    frame_id: str = "camera"


class FrameSource(ABC):
    """Pictures in their order. The constructor checks what can be checked without opening a device."""

    @property
    @abstractmethod
    def description(self) -> str:
        """What is played, for people."""

    @property
    @abstractmethod
    def length(self) -> int | None:
        """Frames, as far as the material says; None for endless ones."""

    @property
    def transport(self) -> Transport:
        """What kind of picture comes."""
        return "raw"

    @abstractmethod
    def frames(self) -> Iterator[SourceFrame]:
        """The frames, from the beginning.

        Raises:
            SourceError: when something cannot be read after all.
        """


def raw_picture(image: ByteImage) -> RawPicture:
    """(h, w, 3) uint8 RGB as a message carries it."""
    height, width = image.shape[:2]
    return RawPicture(array("B", image.tobytes()), "rgb8", width, height, 3 * width)


def compress(picture: Picture) -> CompressedPicture:
    """As JPEG; what is compressed already stays as it is.

    Raises:
        ImageError: for a picture that cannot be decoded.
    """
    if isinstance(picture, CompressedPicture):
        return picture
    image = decode_raw(
        picture.data, picture.encoding, picture.width, picture.height, picture.step, picture.is_bigendian
    )
    return CompressedPicture(array("B", encode_jpeg(image)), "rgb8; jpeg compressed bgr8")


def encode_jpeg(image: ByteImage, quality: int = JPEG_QUALITY) -> bytes:
    """(h, w, 3) uint8 RGB as a JPEG file, with the 4:2:0 chroma that OpenCV writes, and so ROS's image_transport."""
    pixels = np.ascontiguousarray(image)
    return bytes(simplejpeg.encode_jpeg(pixels, quality=quality, colorspace="RGB", colorsubsampling="420"))
