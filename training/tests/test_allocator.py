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

step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
def test_a_step_gets_the_pages_of_the_step_before() -> None:
    # With one thread the pieces come in an order that leaves gaps, and the heap still grows now and then.
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}

    def faults(how: str) -> int:
        command = [sys.executable, "-c", FAULTS, how]
        return int(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)

    kept, usual = faults("keep"), faults("usual")
    assert kept < usual / 4
    assert kept < 2000  # one step takes about 4,000 pages
