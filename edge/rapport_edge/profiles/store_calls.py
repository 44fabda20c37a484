"""Asking a store that may fail: failures are counted, and writing waits a while before it is tried again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from rapport_edge.errors import StoreError

T = TypeVar("T")


class StoreCalls:
    """Stands between those who need the store and its failures.

    Args:
        retry_interval: seconds without writing after a failure.
        clock: monotonic seconds.

    Attributes:
        failures: how often the store did not take or give something.
        last_failure: the newest reason; empty since the last successful write.
    """

    def __init__(self, retry_interval: float, clock: Callable[[], float]) -> None:
        self._retry_interval = retry_interval
        self._clock = clock
        self._retry_at = float("-inf")
        self.failures = 0
        self.last_failure = ""

    @property
    def may_write(self) -> bool:
        """False for a while after a failure: each attempt may wait for a lock."""
        return self._clock() >= self._retry_at

    def ask(self, question: Callable[[], T], otherwise: T) -> T:
        """The store's answer, or `otherwise` where it fails."""
        try:
            return question()
        except StoreError as error:
            self._failed(error)
            return otherwise

    def write(self, action: Callable[[], None]) -> bool:
        """Whether the store has it now; not even tried too soon after a failure."""
        if not self.may_write:
            return False
        try:
            action()
        except StoreError as error:
            self._failed(error)
            return False
        self.last_failure = ""
        return True

    def _failed(self, error: StoreError) -> None:
        self.failures += 1
        self.last_failure = str(error)
        self._retry_at = self._clock() + self._retry_interval
