"""The largest picture that is decoded, and byte views of whatever a message carries."""

from __future__ import annotations

from array import array
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rapport_edge.errors import ImageError

#: One 8K UHD frame (7680 x 4320), 33.2 megapixels. A small file can declare far more; nothing above this is allocated.
MAX_PIXELS = 7680 * 4320

Buffer: TypeAlias = "bytes | bytearray | memoryview | array[int] | NDArray[Any]"


def byte_view(data: Buffer) -> NDArray[np.uint8]:
    """The same bytes as a flat uint8 array; copies only what is not contiguous.

    Raises:
        ImageError: if `data` is not a buffer of bytes (rclpy hands out `array.array('B')`).
    """
    try:
        if not isinstance(data, np.ndarray):
            return np.frombuffer(data, dtype=np.uint8)
        return np.ascontiguousarray(data).reshape(-1).view(np.uint8)
    except (TypeError, ValueError, BufferError) as error:
        raise ImageError(f"image data of type {type(data).__name__} is not a buffer of bytes: {error}") from error


def check_size(width: int, height: int, what: str) -> None:
    """Refuses pictures without pixels and pictures above `MAX_PIXELS`.

    Raises:
        ImageError: naming `what`, the size and the limit.
    """
    if width <= 0 or height <= 0:
        raise ImageError(f"{what}: {width} x {height} has no pixels")
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"{what}: {width} x {height} is more than the {MAX_PIXELS / 1e6:.1f} megapixels that are decoded"
        )
