"""Memory that tensors free stays with the process."""

import os
import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import torch
from rapport_training.allocator import keep_freed_memory

if sys.argv[1] == "keep":
    assert keep_freed_memory()

def step():
    return sum(torch.ones(1_000_000) + part for part in range(4))

for _ in range(20):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

A_TENSOR = 1_000_000 * 4 // os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
@pytest.mark.parametrize("threads", [1, 2])
def test_a_step_gets_the_pages_of_the_step_before(threads: int) -> None:
    # Where the first pieces happen to lie decides whether the heap grows a little more in the first ten steps, so the
    # count begins after twenty. Without the setting each step of one thread faults for most of its tensors.
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}

    def faults(how: str) -> int:
        command = [sys.executable, "-c", FAULTS, how]
        return int(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)

    assert faults("keep") < A_TENSOR  # in twenty steps of nine tensors each
    if threads == 1:
        assert faults("usual") > 20 * A_TENSOR
