"""From when on a user's events are held out by leave-last-out, whatever their kinds."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from rapport_training.interest.batch import FIRST
from rapport_training.interest.data.event_partitions import NEVER, Partitioner
from rapport_training.interest.data.histories import places_from_the_end
from rapport_training.interest.data.log import BehaviourLog
from rapport_training.interest.data.prepared import SPLITS
from rapport_training.interest.data.settings import PrepareSettings
from rapport_training.interest.data.vocabulary import Vocabulary

#: Samples of each user that do not train: one validates, one tests.
_HELD_OUT: Final = len(SPLITS) - 1


def held_out_from(log: BehaviourLog, settings: PrepareSettings) -> NDArray[np.int64]:
    """When each user's first sample comes that `prepare` takes for validation under leave-last-out.

    Args:
        log: streamed; what stays in memory are three numbers for each user.
        settings: which events are samples.

    Returns:
        (users,) int64 by row of the log's users: Unix seconds, or the order in a log without times; `NEVER` for users
        with too few samples to hold any out.
    """
    users = Vocabulary(log.users(["id"])["id"].to_pylist())
    newest = np.full((_HELD_OUT, len(users)), NEVER)
    count = np.zeros(len(users), np.int64)
    for found in Partitioner(log, settings).samples(users):
        by_user = np.argsort(found[0], kind="stable")
        user, time = (column[by_user] for column in found)
        following, _ = places_from_the_end(user)
        for later in reversed(range(_HELD_OUT)):
            this = following == later
            newest[:, user[this]] = [time[this], *newest[:-1, user[this]]]
        count += np.bincount(user, minlength=len(users))
    return np.where(count < len(SPLITS), NEVER, newest[-1])[FIRST:]
