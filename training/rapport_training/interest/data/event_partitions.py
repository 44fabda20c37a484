"""Events as indexes, parted by user on disk: one part is in memory at a time, and has all events of its users."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from tqdm import tqdm

from rapport_training.interest.batch import UNKNOWN
from rapport_training.interest.data.columns import check_times
from rapport_training.interest.data.errors import LogError
from rapport_training.interest.data.log import BehaviourLog
from rapport_training.interest.data.settings import PrepareSettings
from rapport_training.interest.data.vocabulary import Vocabulary

#: Events of a part; about 30 bytes each, several times that while it is worked on.
PART_EVENTS: Final = 4_000_000

#: time is the order where the log has no times. A sample is an event to be explained.
EVENT: Final = np.dtype(
    [("user", "i4"), ("item", "i4"), ("time", "i8"), ("liked", "?"), ("behaviour", "?"), ("sample", "?")]
)

#: A time that never comes.
NEVER: Final = np.iinfo(np.int64).max


@dataclass
class Survey:
    """What one pass over the kinds and labels tells.

    Attributes:
        samples: events to be explained.
        liked: of those.
        behaviours: events that histories are made of.
    """

    samples: int = 0
    liked: int = 0
    behaviours: int = 0


@dataclass
class Parts:
    """Events by user on disk.

    Attributes:
        files: one per part; users ascend from part to part.
        boundaries: times at which validation and test begin; empty for leave-last-out.
        first_time: (items,) of the first event; the greatest int64 where there is none.
        events_of_item: (items,) int64.
    """

    files: list[Path]
    boundaries: list[int] = field(default_factory=list)
    first_time: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    events_of_item: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def read(self) -> Iterator[NDArray[Any]]:
        """Each part's events, by user, then time, then the log's order."""
        for path in tqdm(self.files, desc="histories", unit="part", disable=None):
            events = np.fromfile(path, EVENT)
            yield events[np.lexsort((events["time"], events["user"]))]
            path.unlink()


class Partitioner:
    """Reads a log's events as indexes.

    Args:
        log: the log.
        settings: which events are behaviours and samples.
        part_events: see `PART_EVENTS`.
    """

    def __init__(self, log: BehaviourLog, settings: PrepareSettings, part_events: int = PART_EVENTS) -> None:
        self._log = log
        self._settings = settings
        self._threshold = np.float32(settings.threshold_of(log.record))
        self._part_events = part_events
        self._key = "time" if log.record.timed else "order"

    def survey(self) -> Survey:
        """Counts before anything is written."""
        found = Survey()
        for batch in self._log.event_batches(["kind", "label"]):
            flags = self._flags(batch)
            found.samples += int(flags["sample"].sum())
            found.liked += int((flags["sample"] & flags["liked"]).sum())
            found.behaviours += int(flags["behaviour"].sum())
        return found

    def samples(self, users: Vocabulary) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int64]]]:
        """(users, times) of the events to be explained, a batch at a time in the log's order.

        Args:
            users: indexes of ids.
        """
        for batch in self._log.event_batches(["user", self._key, "kind", "label"]):
            sample = self._flags(batch)["sample"]
            yield users.find(batch["user"])[sample], batch[self._key].to_numpy(zero_copy_only=False)[sample]

    def part(self, folder: Path, items: Vocabulary, users: Vocabulary, samples: int) -> Parts:
        """Writes the parts.

        Args:
            folder: for their files.
            items, users: indexes of ids.
            samples: how many there are, for the boundaries in time.

        Raises:
            LogError: if the log is out of order or names an item or user that it does not have.
        """
        count = max(1, -(-self._log.event_count // self._part_events))
        parts = Parts([folder / f"part-{number}.bin" for number in range(count)])
        parts.first_time = np.full(len(items), NEVER)
        parts.events_of_item = np.zeros(len(items), np.int64)
        wanted = self._boundary_rows(samples)
        seen, latest = 0, np.iinfo(np.int64).min
        open_files = [path.open("wb") for path in parts.files]
        bar = tqdm(total=self._log.event_count, desc="events", unit="event", unit_scale=True, disable=None)
        for batch in self._log.event_batches(["user", "item", self._key, "kind", "label"]):
            events = self._events(batch, items, users, int(latest))
            latest = events["time"][-1]
            np.minimum.at(parts.first_time, events["item"], events["time"])
            np.add.at(parts.events_of_item, events["item"], 1)
            sampled = events["time"][events["sample"]]
            parts.boundaries += [int(sampled[row - seen]) for row in wanted if seen <= row < seen + len(sampled)]
            seen += len(sampled)
            place = events["user"].astype(np.int64) * count // len(users)
            for number in np.unique(place):
                open_files[number].write(events[place == number].tobytes())
            bar.update(len(events))
        bar.close()
        for file in open_files:
            file.close()
        return parts

    def _boundary_rows(self, samples: int) -> list[int]:
        if self._settings.protocol != "time":
            return []
        train, validation, _ = self._settings.shares
        # Rounded first: 0.7 + 0.2 is a little less than 0.9.
        return [int(round(share * samples, 6)) for share in (train, train + validation)]

    def _events(self, batch: pa.RecordBatch, items: Vocabulary, users: Vocabulary, latest: int) -> NDArray[Any]:
        for column in ("user", "item", self._key):
            if batch[column].null_count:
                raise LogError(f"{self._log.path}: an event has no {column}")
        if self._log.record.timed:
            check_times(batch[self._key], str(self._log.path))
        events = np.zeros(len(batch), EVENT)
        events["user"], events["item"] = users.find(batch["user"]), items.find(batch["item"])
        if (events["user"] == UNKNOWN).any() or (events["item"] == UNKNOWN).any():
            raise LogError(f"{self._log.path}: an event names a user or an item that the log does not have")
        events["time"] = batch[self._key].to_numpy(zero_copy_only=False)
        if len(batch) and (events["time"][0] < latest or (np.diff(events["time"]) < 0).any()):
            raise LogError(f"{self._log.path}: the events are not sorted by {self._key}; convert the source again")
        for name, flags in self._flags(batch).items():
            events[name] = flags
        return events

    def _flags(self, batch: pa.RecordBatch) -> dict[str, NDArray[np.bool_]]:
        label = batch["label"].to_numpy(zero_copy_only=False)
        if np.isnan(label).any():
            raise LogError(f"{self._log.path}: an event has no label, or NaN")
        if len(label) and not 0 <= label.min() <= label.max() <= 1:
            raise LogError(f"{self._log.path}: labels from {label.min():g} to {label.max():g}; expected 0 to 1")
        liked = label >= self._threshold
        sample = _is_one_of(batch["kind"], self._settings.sample_kinds)
        if self._settings.negatives:
            sample &= liked
        return {
            "liked": liked,
            "behaviour": liked & _is_one_of(batch["kind"], self._settings.history_kinds),
            "sample": sample,
        }


def _is_one_of(kinds: pa.Array, wanted: tuple[str, ...]) -> NDArray[np.bool_]:
    if not wanted:
        return np.ones(len(kinds), np.bool_)
    return np.asarray(pc.is_in(kinds, value_set=pa.array(wanted)).to_numpy(zero_copy_only=False))
