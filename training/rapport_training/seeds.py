"""Seeds: what all generators of random numbers that a training seeds can take."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

#: NumPy's, with which Lightning begins.
LARGEST_SEED: Final = 2**32 - 1

Seed = Annotated[int, msgspec.Meta(ge=0, le=LARGEST_SEED)]
