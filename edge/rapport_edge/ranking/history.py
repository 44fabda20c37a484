"""A history as models take it: in order, each event once, the most recent ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from rapport_edge.ranking.items import Event, RankingError

#: Models take an event's age in days.
SECONDS_PER_DAY: Final = 86_400.0


def ordered(events: Sequence[Event], length: int) -> tuple[Event, ...]:
    """At most `length` events, oldest first.

    Events with times are sorted by them, and the same item at the same time counts once. Without times the order is
    taken as given, oldest first, and nothing can be told to be a duplicate.

    Raises:
        RankingError: if some events have a time and others have none, or a time is no number.
    """
    timed = [event for event in events if event.time is not None]
    if timed and len(timed) != len(events):
        without = next(event.id for event in events if event.time is None)
        raise RankingError(
            f"item {without!r} of the history has no time, but {timed[0].id!r} has one; give all times or none"
        )
    for event in timed:
        if not math.isfinite(event.time or 0.0):
            raise RankingError(f"item {event.id!r} of the history has the time {event.time}, which is no time")
    if not timed:
        return tuple(events)[-length:]
    once = {(event.id, event.time): event for event in events}
    return tuple(sorted(once.values(), key=lambda event: event.time or 0.0))[-length:]
