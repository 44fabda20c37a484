"""A limit on requests per minute."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Pacer:
    """Lets threads through one at a time, evenly spaced; time that nobody used is not saved up for a burst.

    Args:
        per_minute: how many pass per minute; None for no limit.
        clock: seconds that never go back.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        per_minute: float | None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._interval = 60.0 / per_minute if per_minute else 0.0
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()
        self._next = clock()

    def wait(self) -> None:
        """Returns when the caller may go."""
        with self._lock:
            now = self._clock()
            mine = max(self._next, now)
            self._next = mine + self._interval
        if mine > now:
            self._sleep(mine - now)
