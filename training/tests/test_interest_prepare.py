"""Splits by time and by user, and the memory they take."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from behaviour_logs import Event, write_events
from prepared_samples import RATINGS, samples_of

from rapport_edge.errors import SettingsError
from rapport_training.interest.data.log_writer import About, LogWriter, write_log
from rapport_training.interest.data.prepare import prepare
from rapport_training.interest.data.prepared import PreparedLog
from rapport_training.interest.data.settings import PrepareSettings


def test_leave_last_out_takes_each_users_last_two(tmp_path):
    events = [*RATINGS, Event("bert", "a", 3), Event("bert", "b", 4), Event("bert", "c", 5), Event("cleo", "a", 1)]
    prepared = prepare(
        write_events(tmp_path / "log", events), PrepareSettings(protocol="leave-last-out"), tmp_path / "out"
    )
    rows = [(split, user, item) for split, user, item, *_ in samples_of(prepared) if user != "anna" or split != "train"]
    assert sorted(rows) == [
        ("test", "anna", "j"),
        ("test", "bert", "c"),
        ("train", "bert", "a"),
        ("train", "cleo", "a"),
        ("validation", "anna", "i"),
        ("validation", "bert", "b"),
    ]
    assert prepared.record.counts == {"samples of users with fewer than three, all in training": 1}
    assert prepared.protocol == "leave-last-out, label = rating >= 4"


def test_an_order_serves_where_there_are_no_times(tmp_path):
    log = write_events(tmp_path / "log", RATINGS, timed=False)
    with pytest.raises(SettingsError, match="take the protocol leave-last-out"):
        prepare(log, PrepareSettings(), tmp_path / "out")
    prepared = prepare(log, PrepareSettings(protocol="leave-last-out"), tmp_path / "out")
    assert prepared.sequence_time is None
    test = next(row for row in samples_of(prepared) if row[0] == "test")
    assert test == ("test", "anna", "j", 0, -1, list("acegi"), True)


def test_times_before_1970_change_nothing(tmp_path):
    def made(name: str, shift: int) -> PreparedLog:
        events = [
            Event(user, item, t + shift)
            for t, (user, item) in enumerate(zip("uvwxy" * 10, "abcdefghij" * 5, strict=True))
        ]
        return prepare(write_events(tmp_path / name, events), PrepareSettings(negatives=2), tmp_path / f"{name}-out")

    early, late = made("early", -1000), made("late", 1000)
    assert early.record.rows == late.record.rows
    assert early.record.counts == late.record.counts


def test_shares_are_those_that_were_asked_for(tmp_path):
    log = write_events(tmp_path / "log", RATINGS)
    prepared = prepare(log, PrepareSettings(shares=(0.7, 0.2, 0.1)), tmp_path / "out")
    assert prepared.record.rows == {"train": 7, "validation": 2, "test": 1}
    with pytest.raises(SettingsError, match="must be above 0 and add up to 1"):
        prepare(log, PrepareSettings(shares=(float("nan"), 0.1, 0.1)), tmp_path / "nan")


def peak_of(blocks: int, folder: Path) -> tuple[int, int]:
    """(samples, bytes that numpy held at most) of a log of so many times 50,000 events."""

    def fill(writer: LogWriter) -> None:
        rng = np.random.default_rng(0)
        ids = pa.array(np.arange(2000).astype(str))
        for _ in range(blocks):
            user, item = (ids.take(pa.array(rng.integers(0, 2000, 50_000))) for _ in range(2))
            writer.add_events(user=user, item=item, time=rng.integers(0, 10**9, 50_000))

    log = write_log(About("test"), fill, folder / "log")
    tracemalloc.start()
    prepared = prepare(log, PrepareSettings(negatives=1), folder / "out", part_events=50_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return sum(prepared.record.rows.values()), peak


def test_memory_does_not_grow_with_the_number_of_events(tmp_path):
    peak_of(1, tmp_path / "warm")  # what is imported on the way
    few, small = peak_of(2, tmp_path / "few")
    many, large = peak_of(10, tmp_path / "many")
    assert many > 4.9 * few
    assert large < 1.3 * small, f"{few} samples took {small >> 20} MiB, {many} took {large >> 20} MiB"
