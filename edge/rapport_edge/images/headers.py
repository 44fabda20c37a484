"""Width and height of PNG and WebP files from their headers, and whether the file is whole.

OpenCV reads header and pixels in one call, so the size must be known before it is called; and what is cut off must be
refused before, because libpng writes to standard error for each such file.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rapport_edge.errors import ImageError

_PNG_CHUNK_OVERHEAD = 12  # length, type, checksum


def png_size(buffer: NDArray[np.uint8]) -> tuple[int, int]:
    """Width and height of a whole PNG (RFC 2083: chunks from IHDR to IEND).

    Raises:
        ImageError: if the first chunk is not IHDR, or the file ends before IEND does.
    """
    view = buffer.data
    if bytes(view[12:16]) != b"IHDR" or len(view) < 33:
        raise ImageError(f"PNG of {len(view)} bytes has no header")
    place = 8
    while place + _PNG_CHUNK_OVERHEAD <= len(view):
        kind = bytes(view[place + 4 : place + 8])
        place += _PNG_CHUNK_OVERHEAD + int.from_bytes(view[place : place + 4], "big")
        if kind == b"IEND" and place <= len(view):
            return int.from_bytes(view[16:20], "big"), int.from_bytes(view[20:24], "big")
    raise ImageError(f"PNG of {len(view)} bytes is truncated: it ends before its IEND chunk")


def webp_size(buffer: NDArray[np.uint8]) -> tuple[int, int]:
    """Width and height of a whole WebP (RFC 9649: lossy, lossless or extended).

    Raises:
        ImageError: if the file is shorter than it says, or its first chunk is none of the three.
    """
    view = buffer.data
    declared = int.from_bytes(view[4:8], "little") + 8
    if len(view) < max(declared, 30):
        raise ImageError(f"WebP of {len(view)} bytes is truncated: it should have {declared}")
    kind, body = bytes(view[12:16]), view[20:30]
    if kind == b"VP8X":
        return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    if kind == b"VP8L" and body[0] == 0x2F:
        bits = int.from_bytes(body[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and bytes(body[3:6]) == b"\x9d\x01\x2a":
        return int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF
    raise ImageError(f"WebP of {len(view)} bytes has no readable header (first chunk {kind!r})")
