"""SIGINT and SIGTERM as an event that work looks at between its steps, so that nothing is torn down half-way.

Imports nothing of ROS: commands enter `stop_signals` before they import what takes seconds.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rapport_edge.errors import RapportError


class StoppedError(RapportError):
    """A signal came before the process had done what it was started for; the message says which and when."""


class StopRequest(threading.Event):
    """Set by the first signal that asks the process to stop.

    Attributes:
        by: that signal; None as long as none came.
    """

    def __init__(self) -> None:
        super().__init__()
        self.by: signal.Signals | None = None

    @property
    def name(self) -> str:
        """Of the signal, such as "SIGINT"; "a request" where something else than a signal set the event."""
        return "a request" if self.by is None else self.by.name

    @property
    def exit_status(self) -> int:
        """What a shell reports of a process that the signal ended: 130 for SIGINT, 143 for SIGTERM."""
        return 1 if self.by is None else 128 + self.by

    def take(self, number: int, _: FrameType | None) -> None:
        """A handler for `signal.signal`."""
        self.by = self.by or signal.Signals(number)
        self.set()


@contextmanager
def stop_signals() -> Iterator[StopRequest]:
    """An event that SIGINT and SIGTERM set; the handlers before it are put back. For the main thread."""
    stop = StopRequest()
    before = {number: signal.signal(number, stop.take) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
