"""The most memory that a stretch of code needs."""

from __future__ import annotations

import resource
from pathlib import Path
from types import TracebackType

import torch

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class PeakMemory:
    """Around the code to be measured: on a GPU what torch allocated, else resident memory, above what was there before.

    Attributes:
        device: "cuda" or "cpu".
        bytes: after the block.
    """

    def __init__(self) -> None:
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.bytes = 0
        self._before = 0

    def __enter__(self) -> PeakMemory:
        if self.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
            self._before = torch.cuda.memory_allocated()
        else:
            self._before = _start_anew()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        peak = torch.cuda.max_memory_allocated() if self.device == "cuda" else _highest()
        self.bytes = max(0, peak - self._before)


def _start_anew() -> int:
    """Resident memory now; Linux forgets the peak before, elsewhere it is taken for now's."""
    try:
        _RESET.write_text("5")
        return _field("VmRSS")
    except OSError:
        return _highest()


def _highest() -> int:
    try:
        return _field("VmHWM")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _field(name: str) -> int:
    """Bytes, from a line such as "VmHWM:  1234 kB"."""
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024
