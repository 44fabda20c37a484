"""A history as models take it: in order, each event once, the most recent ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from rapport_edge.ranking.items import Event, RankingError

#: Models take an event's age in days.
SECONDS_PER_DAY: Final = 86_400.0
#: In the year 5138. Milliseconds since March 1973 are more.
LATEST: Final = 10**11


def ordered(events: Sequence[Event], length: int) -> tuple[Event, ...]:
    """At most `length` events, oldest first.

    Events with times are sorted by them, and the same item at the same time counts once. Without times the order is
    taken as given, oldest first, and nothing can be told to be a duplicate.

    Raises:
        RankingError: if some events have a time and others have none, or a time can be no Unix seconds.
    """
    timed = [event for event in events if event.time is not None]
    if timed and len(timed) != len(events):
        without = next(event.id for event in events if event.time is None)
        raise RankingError(
            f"item {without!r} of the history has no time, but {timed[0].id!r} has one; give all times or none"
        )
    for event in timed:
        check_seconds(event.time or 0.0, f"item {event.id!r} of the history has the time")
    if not timed:
        return tuple(events)[-length:]
    once = {(event.id, event.time): event for event in events}
    return tuple(sorted(once.values(), key=lambda event: event.time or 0.0))[-length:]


def check_seconds(time: float, what: str) -> None:
    """Refuses what can be no Unix seconds: ages would follow from it that no training had.

    Args:
        time: that somebody gave.
        what: it is of, as a sentence begins that ends with it.

    Raises:
        RankingError: if it is no number, or too far from today.
    """
    if not math.isfinite(time):
        raise RankingError(f"{what} {time}, which is no time")
    if abs(time) > LATEST:
        raise RankingError(f"{what} {time:g}; expected seconds since 1970: are these milliseconds?")
