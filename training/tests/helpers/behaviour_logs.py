"""Behaviour logs small enough to be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rapport_training.interest.data.log import About, BehaviourLog
from rapport_training.interest.data.log_writer import LogWriter, write_log


@dataclass(frozen=True)
class Event:
    """One row; `time` is the order where the log has no times."""

    user: str
    item: str
    time: int
    stars: int = 5
    kind: str = "rating"


def write_events(
    out: Path, events: Sequence[Event], *, timed: bool = True, memory_bytes: int = 1 << 20, scale: float = 5.0
) -> BehaviourLog:
    """A log of these events; items have the category "even" or "odd" by the length of their id."""

    def fill(writer: LogWriter) -> None:
        items = sorted({event.item for event in events})
        writer.add_items(id=items, category=["even" if len(item) % 2 == 0 else "odd" for item in items])
        for event in events:
            writer.add_events(
                user=[event.user],
                item=[event.item],
                **{"time" if timed else "order": [event.time]},
                kind=[event.kind],
                label=[event.stars / 5],
            )

    about = About("test", "made by a test", label_name="rating", label_scale=scale, timed=timed)
    return write_log(about, fill, out, memory_bytes=memory_bytes, overwrite=True)
