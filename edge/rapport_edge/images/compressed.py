"""JPEG, PNG and WebP, as sensor_msgs/CompressedImage and files carry them.

JPEG goes through simplejpeg (libjpeg-turbo), PNG and WebP through OpenCV. OpenCV fills what is missing from a JPEG with
grey and reports success; libjpeg-turbo says which data ended early. The rule for JPEG: a picture is refused when the
decoder reports a premature end, of the file or of the data between two markers, because then pixels are missing. Stray
bytes between segments are let through, because common USB cameras send them with every frame and no pixel is missing.
The decoder reports its first warning only: what is missing behind stray bytes goes unseen and comes out grey, and stray
bytes that the header's reader meets before the tables are refused.

The size is read from the header before anything is decoded, so that a small file cannot claim all memory.
EXIF orientation is ignored here: cameras of robots write none, and a message's pixels must stay where camera_info says.
"""

from __future__ import annotations

import cv2
import numpy as np
import simplejpeg  # type: ignore[import-untyped]  # its stub file lacks the py.typed marker
from numpy.typing import NDArray

from rapport_edge.errors import ImageError
from rapport_edge.faces import ByteImage
from rapport_edge.images.headers import png_size, webp_size
from rapport_edge.images.limits import Buffer, byte_view, check_size

_JPEG_SIGNATURE = b"\xff\xd8\xff"
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def decode_compressed(data: Buffer, format: str = "") -> ByteImage:
    """A compressed image as RGB; what it is follows from its first bytes, not from `format`.

    Args:
        data: a whole JPEG, PNG or WebP file; bytes after its end are ignored. 16 bits per channel keep the high byte,
            alpha is dropped, grey becomes three equal channels.
        format: the message's format field, such as "jpeg" or "rgb8; jpeg compressed bgr8". The colour order in it is
            that of the sender's matrix and changes nothing: the file has its colours in the usual order. It serves to
            refuse depth images and Bayer patterns, and to explain errors.

    Returns:
        (height, width, 3) uint8 RGB, C-contiguous.

    Raises:
        ImageError: for anything else: another format, depth, truncated, damaged, or above `MAX_PIXELS`.
    """
    _refuse_what_is_no_picture(format)
    buffer = byte_view(data)
    start = buffer[:16].tobytes()
    if start.startswith(_JPEG_SIGNATURE):
        return _decode_jpeg(buffer)
    if start.startswith(_PNG_SIGNATURE):
        return _decode_by_opencv(buffer, png_size(buffer), "PNG")
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return _decode_by_opencv(buffer, webp_size(buffer), "WebP")
    named = f" (format '{format}')" if format else ""
    raise ImageError(
        f"{buffer.size} bytes{named} are neither JPEG nor PNG nor WebP; they start with {start.hex(' ')!r}"
    )


def _refuse_what_is_no_picture(format: str) -> None:
    if "compressedDepth" in format:
        raise ImageError(f"format '{format}' is a depth image, not a picture; choose the camera's colour topic")
    if format.startswith("bayer_") and "compressed bgr" not in format and "compressed rgb" not in format:
        raise ImageError(
            f"format '{format}' is a compressed Bayer pattern; compress the image after its colours are restored"
        )


def _decode_jpeg(buffer: NDArray[np.uint8]) -> ByteImage:
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(buffer)
    except ValueError as error:
        raise ImageError(f"JPEG of {buffer.size} bytes: no readable header: {error}") from error
    check_size(width, height, "JPEG")
    try:
        return np.asarray(simplejpeg.decode_jpeg(buffer, colorspace="RGB", strict=True), dtype=np.uint8)
    except ValueError as error:
        if "extraneous bytes" not in str(error):
            raise ImageError(
                f"JPEG of {width} x {height}, {buffer.size} bytes, is truncated or damaged: {error}"
            ) from error
    return _decode_jpeg_leniently(buffer)


def _decode_jpeg_leniently(buffer: NDArray[np.uint8]) -> ByteImage:
    try:
        return np.asarray(simplejpeg.decode_jpeg(buffer, colorspace="RGB", strict=False), dtype=np.uint8)
    except ValueError as error:
        raise ImageError(f"JPEG of {buffer.size} bytes is damaged: {error}") from error


def _decode_by_opencv(buffer: NDArray[np.uint8], size: tuple[int, int], kind: str) -> ByteImage:
    width, height = size
    check_size(width, height, kind)
    try:
        image = cv2.imdecode(buffer, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise ImageError(f"{kind} of {width} x {height}, {buffer.size} bytes, is damaged: {error}") from error
    # OpenCV's type stubs promise an array; for data that it cannot decode it returns None.
    if image is None or image.shape != (height, width, 3):
        raise ImageError(f"{kind} of {width} x {height}, {buffer.size} bytes, is damaged")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)
