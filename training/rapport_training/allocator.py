"""Memory that tensors free stays with the process.

On a CPU a training step allocates and frees the same megabytes again and again. By default glibc hands large pieces
back to the kernel, which then gives pages full of zeros, one fault after the other: a third of the time of a click
model's step (training/benchmarks/click_models.py).
"""

from __future__ import annotations

import ctypes
from typing import Final

# malloc.h
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3

#: The largest threshold that glibc accepts on 64-bit machines; larger pieces are mapped, whatever is asked for.
_LARGEST_MMAP_THRESHOLD: Final = 32 << 20
_NEVER: Final = 2**31 - 1


def keep_freed_memory() -> bool:
    """For the whole process, which then keeps the memory of its peak. False where the C library has no such setting."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD) and mallopt(_M_TRIM_THRESHOLD, _NEVER))
