"""Reads ahead in a thread, so that a slow picture does not make the next ones late."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Prefetch(Generic[T]):
    """The items of an iterator, at most `depth` of them made in advance; iterate once.

    An error in the source is raised where its item would have come.
    """

    def __init__(self, items: Iterator[T], depth: int) -> None:
        self._items = items
        self._queue: queue.Queue[tuple[T | None, Exception | None]] = queue.Queue(depth)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._fill, name="prefetch", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        """Waits for each item until the source ends."""
        while True:
            item, error = self._queue.get()
            if error is not None:
                raise error
            if item is None:
                return
            yield item

    def close(self) -> None:
        """Ends the thread; items not yet taken are lost."""
        self._closed.set()
        self._thread.join(2.0)

    def _fill(self) -> None:
        try:
            for item in self._items:
                if not self._put(item, None):
                    return
            self._put(None, None)
        except Exception as error:  # noqa: BLE001 - whatever it is, the thread that iterates gets it
            self._put(None, error)

    def _put(self, item: T | None, error: Exception | None) -> bool:
        """False once closed."""
        while not self._closed.is_set():
            try:
                self._queue.put((item, error), timeout=0.1)
            except queue.Full:
                continue
            return True
        return False
