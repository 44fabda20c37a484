"""CPU and memory of a process while something happens, and the machine it happens on."""

from __future__ import annotations

import os
import platform
import threading
import time
from pathlib import Path

import msgspec
import psutil


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Of one process.

    Attributes:
        cpu_percent: mean, of one core.
        rss_mb: largest resident memory seen, 10^6 bytes, shared memory included.
    """

    cpu_percent: float
    rss_mb: float


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What the figures were measured on.

    Attributes:
        load: mean number of running processes in the last minute before; above 0 other work disturbed the figures.
    """

    cpu: str
    cores: int
    memory_gb: float
    system: str
    python: str
    load: float


class UsageMeter:
    """Watches a process from `start` to `stop`.

    Args:
        pid: of the process; one that ended meanwhile keeps what was seen of it.
    """

    PERIOD = 0.25

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._stop = threading.Event()
        self._largest = 0
        self._cpu = 0.0
        self._thread = threading.Thread(target=self._watch, name="usage", daemon=True)

    def start(self) -> None:
        """Begins to watch."""
        self._began = time.monotonic()
        self._before = _cpu_seconds(self._process)
        self._thread.start()

    def stop(self) -> Usage:
        """Ends watching."""
        self._stop.set()
        self._thread.join()
        elapsed = max(time.monotonic() - self._began, 1e-6)
        return Usage(cpu_percent=round(100.0 * self._cpu / elapsed, 1), rss_mb=round(self._largest / 1e6, 1))

    def _watch(self) -> None:
        while True:
            try:
                self._largest = max(self._largest, self._process.memory_info().rss)
                self._cpu = _cpu_seconds(self._process) - self._before
            except psutil.NoSuchProcess:
                return
            if self._stop.is_set():
                return
            self._stop.wait(self.PERIOD)


def this_machine() -> Machine:
    """The machine that this process runs on, now."""
    return Machine(
        cpu=_cpu_name(),
        cores=len(os.sched_getaffinity(0)),
        memory_gb=round(psutil.virtual_memory().total / 1e9, 1),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        load=round(os.getloadavg()[0], 2),
    )


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model")))
    return next(names, platform.processor())


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
