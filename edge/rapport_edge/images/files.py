"""One image file as RGB, the right way up."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from rapport_edge.errors import ImageError
from rapport_edge.faces import ByteImage
from rapport_edge.images.compressed import decode_compressed
from rapport_edge.images.limits import MAX_PIXELS

#: Four channels of 16 bits for the largest picture; a longer file is not an image that could be decoded.
_MAX_FILE_BYTES = MAX_PIXELS * 8

#: EXIF orientation -> (mirrored left to right first, then quarter turns counterclockwise) that set the picture upright.
_UPRIGHT = {2: (True, 0), 3: (False, 2), 4: (True, 2), 5: (True, 1), 6: (False, 3), 7: (True, 3), 8: (False, 1)}


def read_image(path: Path) -> ByteImage:
    """A JPEG, PNG or WebP file as (h, w, 3) uint8 RGB, C-contiguous.

    EXIF orientation is applied, unlike in messages: telephones store portraits lying on their side, and a face detector
    does not find faces there.

    Raises:
        ImageError: naming the path: no such file, not readable, too long, or as `decode_compressed`.
    """
    data = _read_bytes(path)
    try:
        return decode_upright(data)
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from error


def decode_upright(data: bytes) -> ByteImage:
    """The content of a JPEG, PNG or WebP file as (h, w, 3) uint8 RGB, C-contiguous, with EXIF orientation applied.

    Raises:
        ImageError: as `decode_compressed`.
    """
    image = decode_compressed(data)
    mirrored, quarter_turns = _UPRIGHT.get(_orientation(data), (False, 0))
    upright = image[:, ::-1] if mirrored else image
    return np.ascontiguousarray(np.rot90(upright, quarter_turns))


def _read_bytes(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        data = path.read_bytes() if size <= _MAX_FILE_BYTES else None
    except OSError as error:
        raise ImageError(f"{path}: {error.strerror or error}") from error
    if data is None:
        raise ImageError(f"{path}: {size} bytes are too many for a picture of at most {MAX_PIXELS} pixels")
    return data


def _orientation(data: bytes) -> int:
    """EXIF orientation, 1 to 8; 1 (upright) where the file has none or it cannot be read."""
    try:
        with Image.open(BytesIO(data)) as header:
            return int(header.getexif().get(ExifTags.Base.Orientation, 1))
    except (OSError, SyntaxError, ValueError, TypeError, KeyError):  # what Pillow raises for damaged metadata
        return 1
