"""Where the behaviours before each event stand. Behaviours of the same second are not before one another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Histories:
    """Of n events, sorted by user and time.

    Attributes:
        items, times: (b,) the behaviours among them, in the same order.
        start, end: (n,) int64: the behaviours strictly before each event are `items[start:end]`.
    """

    items: NDArray[np.int32]
    times: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]


def histories_of(events: NDArray[Any]) -> Histories:
    """Behaviours and, for every event, which of them came strictly before it.

    Args:
        events: (n,) of type `event_partitions.EVENT`, sorted by user, then time.
    """
    user, time, behaviour = events["user"], events["time"], events["behaviour"]
    before = np.concatenate([[0], np.cumsum(behaviour)])[:-1] if len(events) else np.zeros(0, np.int64)
    new_user = np.concatenate([[True], user[1:] != user[:-1]])[: len(events)]
    new_time = new_user | np.concatenate([[True], time[1:] != time[:-1]])[: len(events)]
    return Histories(
        items=events["item"][behaviour],
        times=time[behaviour],
        start=before[_last_true(new_user)],
        end=before[_last_true(new_time)],
    )


def _last_true(flags: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For each place, the last place up to it whose flag is set."""
    return np.maximum.accumulate(np.where(flags, np.arange(len(flags)), 0)) if len(flags) else np.zeros(0, np.int64)


def places_from_the_end(users: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For rows that are sorted by user: how many of the user's rows follow, and how many there are."""
    if not len(users):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    starts = np.flatnonzero(np.concatenate([[True], users[1:] != users[:-1]]))
    counts = np.diff(np.append(starts, len(users)))
    last = np.repeat(starts + counts - 1, counts)
    return last - np.arange(len(users)), np.repeat(counts, counts)
