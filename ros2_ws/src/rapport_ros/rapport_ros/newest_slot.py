"""A slot for one value between two threads: the newest wins, and nothing queues up."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class NewestSlot(Generic[T]):
    """Holds at most one value. Thread-safe."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._value: T | None = None
        self._closed = False

    def put(self, value: T) -> bool:
        """Stores a value; returns True if one that nobody took was superseded."""
        with self._condition:
            superseded = self._value is not None
            self._value = value
            self._condition.notify()
            return superseded

    def take(self, timeout: float) -> T | None:
        """The newest value, at the latest after `timeout` seconds; None when there is none or the slot was closed."""
        with self._condition:
            self._condition.wait_for(lambda: self._value is not None or self._closed, timeout)
            value, self._value = self._value, None
            return value

    def close(self) -> None:
        """Wakes whoever waits; from here on `take` returns at once."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()
