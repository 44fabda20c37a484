"""Which events may teach an encoder: none that the samples of validation and test ask about, or that came later."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rapport_edge.errors import SettingsError
from rapport_edge.ranking.history import LATEST
from rapport_training.interest.data.held_out import held_out_from
from rapport_training.interest.data.log import BehaviourLog
from rapport_training.interest.data.prepare import settings_of
from rapport_training.interest.data.prepared import PreparedLog


@dataclass(frozen=True)
class Bounds:
    """What keeps an encoder from learning from a test; as it is made without arguments, nothing.

    Attributes:
        until: Unix seconds, or the order in a log without times: no later event teaches.
        leave_last: of each user's positive events leave out the last so many.
        held_out: (users,) int64 by row of the log's users, as `until`: neither this user's events of that moment teach
            nor later ones. None for no such bound.
        samples: digest of the prepared samples that `held_out` comes from; "" for none.
    """

    until: int | None = None
    leave_last: int = 0
    held_out: NDArray[np.int64] | None = None
    samples: str = ""


def bounds_of(prepared: PreparedLog, log: BehaviourLog) -> Bounds:
    """What keeps an encoder to the events that prepared samples train on.

    Args:
        prepared: samples of this log.
        log: that the encoder learns from.

    Raises:
        SettingsError: if they were not prepared from this log: the times of another say nothing about it.
    """
    settings = settings_of(prepared, log)
    if settings is None:
        raise SettingsError(
            f"{prepared.path} was not made of the log {log.path} by this version, so it does not say which of its "
            "events may teach an encoder: prepare the log again"
        )
    if settings.protocol == "leave-last-out":
        return Bounds(held_out=held_out_from(log, settings), samples=prepared.digest)
    times = np.concatenate([prepared.samples(split).time for split in ("validation", "test")])
    return Bounds(until=int(times.min()) - 1)


def bounds_until(until: int, log: BehaviourLog) -> Bounds:
    """What keeps an encoder to the events up to a moment.

    Raises:
        SettingsError: if it can be no Unix seconds, and the log has such times: every event would teach.
    """
    if log.record.timed and abs(until) > LATEST:
        raise SettingsError(f"--until {until}: expected Unix seconds: are these milliseconds?")
    return Bounds(until=until)
