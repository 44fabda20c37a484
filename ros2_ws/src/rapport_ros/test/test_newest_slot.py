"""The slot between the subscription and the worker."""

from __future__ import annotations

import threading
import time

from rapport_ros.newest_slot import NewestSlot


def test_the_newest_wins_and_is_taken_once():
    slot: NewestSlot[int] = NewestSlot()
    assert [slot.put(k) for k in range(3)] == [False, True, True]
    assert slot.take(0.0) == 2
    assert slot.take(0.0) is None


def test_nothing_is_lost_uncounted_between_threads():
    slot: NewestSlot[int] = NewestSlot()
    taken: list[int] = []

    def consume() -> None:
        while (value := slot.take(60.0)) is not None and value >= 0:
            taken.append(value)
            time.sleep(0.0005)

    consumer = threading.Thread(target=consume)
    consumer.start()
    superseded = sum(slot.put(k) for k in range(2000))
    superseded += slot.put(-1)
    consumer.join()
    assert taken == sorted(taken)
    assert len(taken) + superseded == 2000


def test_closing_wakes_the_waiter_before_its_time_is_over():
    slot: NewestSlot[int] = NewestSlot()
    threading.Timer(0.05, slot.close).start()
    started = time.monotonic()
    assert slot.take(100.0) is None
    assert time.monotonic() - started < 100.0
