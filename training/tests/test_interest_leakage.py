"""The leakage check finds leaks that were put there, and none where there are none."""

from __future__ import annotations

import numpy as np
from behaviour_logs import Event, write_events

from rapport_training.interest.batch import Field
from rapport_training.interest.data.leakage import leakage_report
from rapport_training.interest.data.prepare import prepare
from rapport_training.interest.data.prepared import PreparedLog
from rapport_training.interest.data.prepared_writer import About, Catalogue, PreparedWriter
from rapport_training.interest.data.settings import PrepareSettings

ITEMS, USERS = 400, 300


def random_events(rng: np.random.Generator, count: int = 8000) -> list[Event]:
    return [
        Event(f"u{rng.integers(USERS)}", f"i{rng.integers(ITEMS)}", 600 * t, int(rng.integers(1, 6)))
        for t in range(count)
    ]


def test_labels_by_chance_cannot_be_told(tmp_path):
    log = write_events(tmp_path / "log", random_events(np.random.default_rng(0), 4000))
    report = leakage_report(prepare(log, PrepareSettings(), tmp_path / "out"))
    assert abs(report.shuffled - 0.5) < 5 * report.shuffled_chance
    assert abs(report.metadata - 0.5) < 0.12
    assert report.in_training == 0
    assert report.warnings == []
    assert "labels shuffled 0.5" in report.line() or "labels shuffled 0.4" in report.line()


def test_uniform_negatives_give_popular_items_away(tmp_path):
    rng = np.random.default_rng(0)
    popular = (ITEMS * rng.random(4000) ** 6).astype(int)
    events = [Event(f"u{rng.integers(USERS)}", f"i{item}", 600 * t) for t, item in enumerate(popular)]
    log = write_events(tmp_path / "log", events)
    uniform = leakage_report(prepare(log, PrepareSettings(negatives=1), tmp_path / "1"))
    fair = leakage_report(prepare(log, PrepareSettings(negatives=1, negatives_by="popularity"), tmp_path / "2"))
    assert uniform.single["item popularity"] > 0.8
    assert uniform.metadata > 0.8
    assert any("metadata alone" in warning for warning in uniform.warnings)
    assert fair.single["item popularity"] < uniform.single["item popularity"] - 0.1


def written(folder, target_in_history: bool) -> PreparedLog:
    """The same samples in training and test; the history of a liked item may hold the item itself."""
    rng = np.random.default_rng(0)
    count = 2000
    label, item, sequence = rng.integers(0, 2, count), rng.integers(2, ITEMS, count), rng.integers(2, ITEMS, count)
    if target_in_history:
        sequence = np.where(label, item, sequence)
    with PreparedWriter(folder, timed=False) as writer:
        writer.add_sequence(sequence)
        for split in ("train", "validation", "test"):
            start = np.arange(count)
            columns = {"user": np.full(count, 2), "item": item, "label": label, "time": np.full(count, -1)}
            writer.add(split, columns | {"start": start, "end": start + 1})
        writer.close_samples(ITEMS, 3)
        ids = np.arange(ITEMS, dtype=np.int32)[:, None]
        writer.finish(
            Catalogue([str(i) for i in range(ITEMS)], [Field("item", ITEMS)], ids),
            Catalogue(["", "", "u"], [Field("user", 3)], ids[:3]),
            np.full(ITEMS, -1),
            About("leak", "test", "none"),
        )
    return PreparedLog.open(folder)


def test_an_event_in_its_own_history_and_test_samples_in_training_are_found(tmp_path):
    (tmp_path / "leak").mkdir()
    (tmp_path / "none").mkdir()
    leak, none = written(tmp_path / "leak", True), written(tmp_path / "none", False)
    assert leakage_report(leak).single["item in its own history"] > 0.95
    assert leakage_report(none).single["item in its own history"] < 0.55
    assert leakage_report(none).in_training == 1
    assert any("training has test samples" in warning for warning in leakage_report(none).warnings)
