"""Uncompressed buffers as sensor_msgs/Image carries them, decoded without cv_bridge.

The encodings are those of sensor_msgs/image_encodings.hpp. What that file leaves open is decided here:

- YUV is BT.601 with limited range (black 16, white 235), which UVC and V4L2 cameras send and OpenCV assumes.
- Alpha is dropped, not blended.
- mono16 keeps its high byte: 65535 becomes 255, as in cv_bridge. A 12-bit sensor that does not shift its values up
  looks dark.
- 8UC3 has no colours by its name; it is read as BGR, because drivers that use it publish an OpenCV matrix as it is.
- Bayer patterns are named by the first two pixels of the first two rows and interpolated bilinearly.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from rapport_edge.errors import ImageError
from rapport_edge.faces import ByteImage
from rapport_edge.images.limits import Buffer, byte_view, check_size

#: (rows, bytes per row) uint8, rows perhaps apart by a larger step -> (h, w, 3) uint8 RGB.
_ToRgb = Callable[[NDArray[np.uint8]], ByteImage]


@dataclass(frozen=True, slots=True)
class _Layout:
    """How an encoding lies in memory.

    Attributes:
        pixel_bytes: bytes per pixel in a row.
        to_rgb: turns the rows into RGB.
        multiple: (of width, of height): the block of pixels that shares its chroma or its colour pattern.
        plane_rows: rows of bytes for `multiple[1]` rows of pixels (NV12 has three for two).
    """

    pixel_bytes: int
    to_rgb: _ToRgb
    multiple: tuple[int, int] = (1, 1)
    plane_rows: int = 1


def _by_opencv(code: int, channels: int) -> _ToRgb:
    """A colour conversion of OpenCV, given how many interleaved bytes it takes for a pixel."""

    def convert(rows: NDArray[np.uint8]) -> ByteImage:
        pixels = rows if channels == 1 else rows.reshape(len(rows), -1, channels)
        return np.asarray(cv2.cvtColor(pixels, code), dtype=np.uint8)

    return convert


def _rgb(rows: NDArray[np.uint8]) -> ByteImage:
    return np.ascontiguousarray(rows).reshape(len(rows), -1, 3)


def _mono16(high_byte: int) -> _ToRgb:
    def convert(rows: NDArray[np.uint8]) -> ByteImage:
        return np.asarray(cv2.cvtColor(np.ascontiguousarray(rows[:, high_byte::2]), cv2.COLOR_GRAY2RGB), dtype=np.uint8)

    return convert


_BGR = _Layout(3, _by_opencv(cv2.COLOR_BGR2RGB, 3))
_MONO = _Layout(1, _by_opencv(cv2.COLOR_GRAY2RGB, 1))
_UYVY = _Layout(2, _by_opencv(cv2.COLOR_YUV2RGB_UYVY, 2), multiple=(2, 1))
_YUYV = _Layout(2, _by_opencv(cv2.COLOR_YUV2RGB_YUY2, 2), multiple=(2, 1))


def _bayer(code: int) -> _Layout:
    return _Layout(1, _by_opencv(code, 1), multiple=(2, 2))


_LAYOUTS = {
    "rgb8": _Layout(3, _rgb),
    "bgr8": _BGR,
    "rgba8": _Layout(4, _by_opencv(cv2.COLOR_RGBA2RGB, 4)),
    "bgra8": _Layout(4, _by_opencv(cv2.COLOR_BGRA2RGB, 4)),
    "mono8": _MONO,
    "mono16": _Layout(2, _mono16(high_byte=1)),
    "8UC1": _MONO,
    "8UC3": _BGR,
    "yuv422": _UYVY,
    "uyvy": _UYVY,
    "yuv422_yuy2": _YUYV,
    "yuyv": _YUYV,
    "nv12": _Layout(1, _by_opencv(cv2.COLOR_YUV2RGB_NV12, 1), multiple=(2, 2), plane_rows=3),
    "nv21": _Layout(1, _by_opencv(cv2.COLOR_YUV2RGB_NV21, 1), multiple=(2, 2), plane_rows=3),
    "bayer_rggb8": _bayer(cv2.COLOR_BayerRGGB2RGB),
    "bayer_bggr8": _bayer(cv2.COLOR_BayerBGGR2RGB),
    "bayer_gbrg8": _bayer(cv2.COLOR_BayerGBRG2RGB),
    "bayer_grbg8": _bayer(cv2.COLOR_BayerGRBG2RGB),
}

#: Same bytes, other byte order. Only 16-bit encodings care for `is_bigendian`.
_BIG_ENDIAN = {"mono16": _Layout(2, _mono16(high_byte=0))}

#: Every encoding that `decode_raw` takes, in alphabetical order.
SUPPORTED_ENCODINGS: tuple[str, ...] = tuple(sorted(_LAYOUTS))


def decode_raw(
    data: Buffer, encoding: str, width: int, height: int, step: int, is_bigendian: bool = False
) -> ByteImage:
    """An uncompressed image message as RGB.

    rgb8 without padding is not copied: the result is a read-only view that keeps `data` alive and changes when `data`
    does. Every other encoding gives a new array.

    Args:
        data: the rows, at least `step` bytes times the number of rows; what follows is ignored.
        encoding: one of `SUPPORTED_ENCODINGS`.
        width: pixels in a row.
        height: rows of pixels.
        step: bytes from the start of one row to the start of the next, padding included.
        is_bigendian: byte order of mono16.

    Returns:
        (height, width, 3) uint8 RGB, C-contiguous.

    Raises:
        ImageError: for an unknown encoding, a size that is zero, over the limit, or odd where pixels share chroma or a
            colour pattern, a step shorter than a row, or too little data.
    """
    layout = (_BIG_ENDIAN if is_bigendian else {}).get(encoding) or _LAYOUTS.get(encoding)
    if layout is None:
        raise ImageError(f"unknown image encoding '{encoding}'; known are {', '.join(SUPPORTED_ENCODINGS)}")
    buffer = byte_view(data)
    what = f"{encoding} image, width {width}, height {height}, step {step}, {buffer.size} bytes"
    width, height, step = _whole_numbers(what, width, height, step)
    check_size(width, height, what)
    rows = _rows(buffer, layout, width, height, step, what)
    try:
        image = layout.to_rgb(rows)
    except cv2.error as error:
        raise ImageError(f"{what}: {error}") from error
    if np.may_share_memory(image, buffer):
        image.flags.writeable = False
    return image


def _whole_numbers(what: str, *values: int) -> tuple[int, ...]:
    try:
        return tuple(operator.index(value) for value in values)
    except TypeError as error:
        raise ImageError(f"{what}: width, height and step must be whole numbers") from error


def _rows(
    buffer: NDArray[np.uint8], layout: _Layout, width: int, height: int, step: int, what: str
) -> NDArray[np.uint8]:
    """(rows, bytes per row) view of the buffer without the padding at each row's end."""
    across, down = layout.multiple
    if width % across or height % down:
        raise ImageError(f"{what}: width must be a multiple of {across} and height of {down}")
    row_bytes = width * layout.pixel_bytes
    if step < row_bytes:
        raise ImageError(f"{what}: the step is shorter than a row of {row_bytes} bytes")
    count = height // down * layout.plane_rows if layout.plane_rows > 1 else height
    if buffer.size < count * step:
        raise ImageError(f"{what}: {count * step} bytes are needed, {count} rows of {step}")
    return buffer[: count * step].reshape(count, step)[:, :row_bytes]
