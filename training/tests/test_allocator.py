"""Memory that tensors free stays with the process."""

import ctypes
import platform
import subprocess
import sys

import pytest

#: Bytes on the heap and bytes in maps of their own, as malloc itself counts them: before four tensors, with them, and
#: after they were freed. Page faults would tell the same only where the heap happens to lie well.
COUNTED = """
import ctypes, sys
import torch
from rapport_training.allocator import keep_freed_memory

class Mallinfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd a b c d e".split()]

mallinfo = ctypes.CDLL(None).mallinfo2
mallinfo.restype = Mallinfo

def count():
    info = mallinfo()
    print(info.arena, info.hblkhd)

if sys.argv[1] == "keep":
    assert keep_freed_memory()
count()
tensors = [torch.ones(int(sys.argv[2]) // 4) for _ in range(4)]
count()
del tensors
count()
"""

A_TENSOR = 24 << 20


def counted(how: str) -> list[tuple[int, int]]:
    command = [sys.executable, "-c", COUNTED, how, str(A_TENSOR)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return [(int(heap), int(mapped)) for heap, mapped in map(str.split, lines)]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="mallinfo2 came with glibc 2.33")
def test_what_a_step_frees_is_there_for_the_next() -> None:
    (heap, mapped), (most_heap, mapped_then), (kept, mapped_after) = counted("keep")
    assert most_heap - heap > 3 * A_TENSOR  # one may find room in what was free
    assert kept >= most_heap
    assert mapped == mapped_then == mapped_after

    (_, mapped), (_, mapped_then), (_, mapped_after) = counted("usual")
    assert mapped_then - mapped >= 4 * A_TENSOR
    assert mapped_after == mapped  # the kernel has them back, and gives the next step pages full of zeros
