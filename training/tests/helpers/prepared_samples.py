"""Prepared samples as rows that can be compared, and a log of one user."""

from __future__ import annotations

from collections.abc import Iterator

from behaviour_logs import Event

from rapport_training.interest.data.prepared import SPLITS, PreparedLog

#: What one user rated, liked and not in turn.
RATINGS = [
    Event("anna", item, time, stars) for time, (item, stars) in enumerate(zip("abcdefghij", [5, 1] * 5, strict=True))
]


def samples_of(prepared: PreparedLog) -> Iterator[tuple[str, str, str, int, int, list[str], bool]]:
    """(split, user, item, label, time in seconds, history, cold) of every sample."""
    for split in SPLITS:
        samples = prepared.samples(split)
        for row in range(len(samples)):
            history = prepared.sequence[samples.start[row] : samples.end[row]]
            yield (
                split,
                prepared.user_ids[samples.user[row]],
                prepared.item_ids[samples.item[row]],
                int(samples.label[row]),
                int(samples.time[row]),
                [prepared.item_ids[item] for item in history],
                bool(samples.cold[row]),
            )
