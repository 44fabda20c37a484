"""From a behaviour log to samples: histories, splits, negatives.

Two passes over the log, which is streamed by row group: the first counts, the second parts the events by user on disk.
Then each part, with all events of its users, is worked on in memory. Ids and attributes are held in memory throughout.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from rapport_edge.errors import SettingsError
from rapport_training.interest.batch import FIRST
from rapport_training.interest.data.catalogue import catalogue
from rapport_training.interest.data.errors import LogError
from rapport_training.interest.data.event_partitions import NEVER, PART_EVENTS, Partitioner, Parts, Survey
from rapport_training.interest.data.histories import Histories, histories_of, places_from_the_end
from rapport_training.interest.data.log import BehaviourLog
from rapport_training.interest.data.negatives import NONE, NegativeSampler
from rapport_training.interest.data.new_folder import new_folder
from rapport_training.interest.data.prepared import FORMAT, NAMES, SPLITS, PreparedLog
from rapport_training.interest.data.prepared_writer import About, PreparedWriter
from rapport_training.interest.data.settings import PrepareSettings
from rapport_training.interest.data.vocabulary import Vocabulary


def prepare(
    log: BehaviourLog,
    settings: PrepareSettings,
    out: Path,
    *,
    overwrite: bool = False,
    part_events: int = PART_EVENTS,
) -> PreparedLog:
    """Writes samples, whole or not at all.

    Args:
        log: the source.
        settings: protocol, negatives, kinds.
        out: the folder.
        overwrite: replace prepared samples that are there.
        part_events: events held in memory at a time.

    Raises:
        SettingsError: if the settings do not suit the log, or something is in the way.
        LogError: if the log is damaged or a split stays empty.
    """
    settings.check(log.record)
    with new_folder(out, NAMES, overwrite=overwrite) as folder:
        partitioner = Partitioner(log, settings, part_events)
        survey = partitioner.survey()
        _check_survey(survey, log, settings)
        items, users = _vocabularies(log)
        parts = partitioner.part(folder, items, users, survey.samples)
        created = _created(log, parts)
        with PreparedWriter(folder, timed=log.record.timed) as writer:
            sampler = _sampler(created, parts, settings, timed=log.record.timed)
            work = _Work(writer, settings, parts.boundaries, sampler, timed=log.record.timed)
            for events in parts.read():
                work.add(events)
            _finish(writer, log, settings, np.where(created == NEVER, -1, created), work.counts)
    return PreparedLog.open(out)


@dataclass
class _Work:
    """Makes samples of one part after another."""

    writer: PreparedWriter
    settings: PrepareSettings
    boundaries: list[int]
    sampler: NegativeSampler
    timed: bool
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, events: NDArray[Any]) -> None:
        """Adds the samples of some users' events, sorted by user and time."""
        histories = histories_of(events)
        base = self.writer.sequence_length
        self.writer.add_sequence(histories.items, histories.times if self.timed else None)
        chosen = np.flatnonzero(events["sample"])
        columns = self._columns(events[chosen], histories, chosen, base)
        split = self._splits(events[chosen])
        if self.settings.negatives:
            columns, split = self._with_negatives(columns, split, events)
        if not self.timed:
            columns["time"] = np.full(len(split), -1)
        for number, name in enumerate(SPLITS):
            rows = split == number
            self.writer.add(name, {column: values[rows] for column, values in columns.items()})

    @staticmethod
    def _columns(
        samples: NDArray[Any], histories: Histories, chosen: NDArray[np.int64], base: int
    ) -> dict[str, NDArray[Any]]:
        return {
            "user": samples["user"],
            "item": samples["item"],
            "label": samples["liked"].astype(np.float32),
            "time": samples["time"],
            "start": histories.start[chosen] + base,
            "end": histories.end[chosen] + base,
        }

    def _splits(self, samples: NDArray[Any]) -> NDArray[np.int64]:
        """(n,) indexes into `SPLITS`."""
        if self.settings.protocol == "time":
            return np.searchsorted(np.array(self.boundaries), samples["time"], side="right")
        following, count = places_from_the_end(samples["user"])
        few = count < len(SPLITS)
        self.counts["samples of users with fewer than three, all in training"] += int(few.sum())
        return np.where(few, 0, np.maximum(0, 2 - following))

    def _with_negatives(
        self, columns: dict[str, NDArray[Any]], split: NDArray[np.int64], events: NDArray[Any]
    ) -> tuple[dict[str, NDArray[Any]], NDArray[np.int64]]:
        """Behind every row its negatives: the same user, time and history."""
        times = 1 + self.settings.negatives
        columns = {name: np.repeat(values, times) for name, values in columns.items()}
        negative = np.arange(len(columns["item"])) % times > 0
        when = columns["time"][negative] if self.timed else np.zeros(int(negative.sum()), np.int64)
        drawn = self.sampler.draw(columns["user"][negative], when, events["user"], events["item"])
        columns["item"][negative] = drawn
        columns["label"][negative] = 0
        kept = columns["item"] != NONE
        self.counts["negatives that no item was left for"] += int((~kept).sum())
        return {name: values[kept] for name, values in columns.items()}, np.repeat(split, times)[kept]


def _check_survey(survey: Survey, log: BehaviourLog, settings: PrepareSettings) -> None:
    if not survey.samples:
        raise SettingsError(f"{log.name} has no events of the kinds {settings.sample_kinds} that count as liked")
    if settings.history_kinds and not survey.behaviours:
        raise SettingsError(
            f"{log.name} has no liked events of the kinds {settings.history_kinds}: no one has a history"
        )
    if not settings.negatives and survey.liked in (0, survey.samples):
        which = "liked" if survey.liked else "not liked"
        raise SettingsError(f"all {survey.samples} events of {log.name} are {which}: sample --negatives, such as 1")


def _vocabularies(log: BehaviourLog) -> tuple[Vocabulary, Vocabulary]:
    """Indexes by id: row r of the log's table has index r + 2."""
    found = []
    for name, table in (("items", log.items(["id"])), ("users", log.users(["id"]))):
        vocabulary = Vocabulary(table["id"].to_pylist())
        if len(vocabulary) != len(table) + FIRST:
            raise LogError(f"{log.path}: two {name} have the same id")
        found.append(vocabulary)
    return found[0], found[1]


def _created(log: BehaviourLog, parts: Parts) -> NDArray[np.int64]:
    """(items,) when each item came into being or was first met; `NEVER` where neither is known."""
    given = log.items(["created"])["created"].fill_null(NEVER).to_numpy()
    created = np.concatenate([np.full(2, NEVER), given])
    if log.record.timed:
        created = np.minimum(created, parts.first_time)
    return created


def _sampler(created: NDArray[np.int64], parts: Parts, settings: PrepareSettings, *, timed: bool) -> NegativeSampler:
    available = created if timed else np.zeros(len(created), np.int64)
    weight = np.ones(len(created)) if settings.negatives_by == "uniform" else parts.events_of_item.astype(np.float64)
    weight[:2] = 0
    return NegativeSampler(available, weight, settings.seed)


def _finish(
    writer: PreparedWriter,
    log: BehaviourLog,
    settings: PrepareSettings,
    created: NDArray[np.int64],
    counts: Counter[str],
) -> None:
    empty = [split for split, rows in writer.rows.items() if not rows]
    if empty:
        raise LogError(
            f"{log.name}: the split {', '.join(empty)} would be empty; take other shares or another protocol"
        )
    seen = writer.close_samples(len(created), log.user_count + 2)
    writer.finish(
        catalogue("item", log.items(["id", "category", "attributes"]), seen.items),
        catalogue("user", log.users(["id", "attributes"]), seen.users),
        created,
        About(
            name=log.name,
            protocol=settings.line(log.record),
            digest=samples_digest(log, settings),
            counts={reason: count for reason, count in counts.items() if count},
            settings=msgspec.to_builtins(settings),
        ),
    )


def samples_digest(log: BehaviourLog, settings: PrepareSettings) -> str:
    """What `prepare` says of its samples: equal digests, equal samples."""
    return hashlib.sha256(f"{FORMAT} {log.digest} ".encode() + msgspec.json.encode(settings)).hexdigest()


def settings_of(prepared: PreparedLog, log: BehaviourLog) -> PrepareSettings | None:
    """The settings with which this log gave these samples; None if it did not, or is not any more what it was."""
    try:
        settings = msgspec.convert(prepared.record.settings, PrepareSettings)
    except msgspec.ValidationError:
        return None
    return settings if samples_digest(log, settings) == prepared.digest else None
