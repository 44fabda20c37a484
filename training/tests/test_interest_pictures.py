"""Pictures of a catalogue as towers see them: upright, of one size, or said to be missing or broken."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image

from rapport_training.interest.content.pictures import BROKEN, NONE, WHOLE, decode, decode_all

SIZE = 16


def photograph(orientation: int) -> bytes:
    """Bright above and dark below when it is upright; as a telephone stores it, with a note how it was held."""
    upright = Image.fromarray(np.repeat(np.array([[[220]], [[30]]], np.uint8), 16, axis=0).repeat(48, axis=1)[..., 0])
    stored = {
        1: upright,
        3: upright.rotate(180),
        6: upright.rotate(90, expand=True),
        8: upright.rotate(-90, expand=True),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = BytesIO()
    stored[orientation].save(file, "JPEG", exif=exif, quality=95)
    return file.getvalue()


def test_a_photograph_is_seen_as_it_was_taken() -> None:
    for orientation in (1, 3, 6, 8):
        pixels, state = decode(photograph(orientation), SIZE)
        assert state == WHOLE
        assert pixels is not None and pixels.shape == (SIZE, SIZE, 3)
        assert pixels[:6].min() > 200 and pixels[10:].max() < 50, orientation


def test_what_is_missing_or_broken_is_said() -> None:
    found = decode_all([photograph(1), None, b"no picture", photograph(6)[:200]], 4, SIZE)
    assert found.state.tolist() == [WHOLE, NONE, BROKEN, BROKEN]
    assert found.whole.tolist() == [True, False, False, False]
    assert not found.pixels[1:].any()
