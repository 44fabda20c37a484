"""Behaviour logs: sorted, without duplicates, and refused where they are damaged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from behaviour_logs import Event, write_events
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport_edge.errors import SettingsError
from rapport_training.interest.data.errors import LogError
from rapport_training.interest.data.event_sort import KEY, ROW, EventSort
from rapport_training.interest.data.log import BehaviourLog
from rapport_training.interest.data.log_writer import About, LogWriter, write_log

EVENTS = [Event("anna", "b", 30), Event("bert", "a", 10), Event("anna", "a", 20), Event("anna", "b", 30)]


def rows(log: BehaviourLog) -> list[tuple[str, str, int]]:
    table = pa.Table.from_batches(list(log.event_batches(["user", "item", "time"])))
    return [tuple(row.values()) for row in table.to_pylist()]


def test_events_come_sorted_and_duplicates_are_counted(tmp_path):
    log = write_events(tmp_path / "log", EVENTS)
    assert rows(log) == [("bert", "a", 10), ("anna", "a", 20), ("anna", "b", 30)]
    assert log.record.dropped == {"duplicates of the same user, item, time and kind": 1}
    assert (log.item_count, log.user_count, log.event_count) == (2, 2, 3)


def test_items_and_users_that_only_events_name_are_added(tmp_path):
    log = write_events(tmp_path / "log", EVENTS)
    assert log.users().to_pylist() == [{"id": "anna", "attributes": None}, {"id": "bert", "attributes": None}]
    assert log.items(["id", "title", "category"]).to_pylist()[0] == {"id": "a", "title": "", "category": "odd"}


def test_the_same_events_have_the_same_digest_and_others_another(tmp_path):
    first, again, other = (
        write_events(tmp_path / name, events) for name, events in [("1", EVENTS), ("2", EVENTS), ("3", EVENTS[1:3])]
    )
    assert first.digest == again.digest != other.digest


@settings(max_examples=50)
@given(keys=st.lists(st.integers(-5, 5), max_size=60), memory=st.integers(1, 2000), merged=st.integers(1, 30))
def test_runs_on_disk_merge_to_what_a_stable_sort_gives(tmp_path_factory, keys, memory, merged):
    sort = EventSort(tmp_path_factory.mktemp("runs"), memory, merged)
    for first in range(0, len(keys), 7):
        part = keys[first : first + 7]
        sort.add(pa.table({"value": part}), pa.array(part, pa.int64()))
    tables = list(sort.merged())
    merged_rows = [(row[KEY], row[ROW]) for table in tables for row in table.to_pylist()]
    assert merged_rows == sorted((key, row) for row, key in enumerate(keys))
    first_keys = [set(table[KEY].to_pylist()) for table in tables]
    assert sum(map(len, first_keys)) == len(set(keys)), "a key is in two tables"


def test_broken_pictures_are_left_out_and_counted(tmp_path):
    good = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes()

    def fill(writer: LogWriter) -> None:
        writer.add_items(id=["a", "b", "c"], image=[good, good[:40], None])
        writer.add_events(user=["u"], item=["a"], time=[1])

    log = write_log(About("test"), fill, tmp_path / "log")
    assert [image is not None for image in log.items(["image"])["image"].to_pylist()] == [True, False, False]
    assert log.record.notes["broken pictures left out"] == 1


def test_rows_without_a_user_or_time_are_dropped_with_the_reason(tmp_path):
    def fill(writer: LogWriter) -> None:
        writer.add_events(user=["u", "", None, "u"], item=["a", "a", "a", "b"], time=[1, 2, 3, None])

    log = write_log(About("test"), fill, tmp_path / "log")
    assert log.record.dropped == {"events without a user": 2, "events without time": 1}
    assert log.event_count == 1


@pytest.mark.parametrize("label", [float("nan"), None, -0.1, 1.5])
def test_a_label_that_is_none_is_refused(tmp_path, label):
    with pytest.raises(LogError, match=r"event 2 of the source has the label .*between 0 and 1"):
        write_log(
            About("test"),
            lambda writer: writer.add_events(user=["u", "u"], item=["a", "b"], time=[1, 2], label=[1.0, label]),
            tmp_path / "log",
        )
    assert not (tmp_path / "log").exists(), "a log that failed must not be there"


def test_a_log_without_events_is_refused(tmp_path):
    with pytest.raises(LogError, match="no usable events"):
        write_log(About("test", "nowhere"), lambda writer: None, tmp_path / "log")


def test_what_is_there_is_replaced_only_when_asked_for(tmp_path):
    out = tmp_path / "log"
    log = write_events(out, EVENTS)

    def fill(writer: LogWriter) -> None:
        writer.add_events(user=["u"], item=["a"], time=[1])

    with pytest.raises(SettingsError, match="--overwrite replaces it"):
        write_log(About("test"), fill, out)
    assert BehaviourLog.open(out).digest == log.digest
    assert write_log(About("test"), fill, out, overwrite=True).event_count == 1
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(SettingsError, match=r"holds no log\.json"):
        write_log(About("test"), fill, tmp_path / "mine", overwrite=True)


def test_a_failure_or_ctrl_c_leaves_what_was_there(tmp_path):
    before = write_events(tmp_path / "log", EVENTS)

    def fill(writer: LogWriter) -> None:
        writer.add_events(user=["u"], item=["a"], time=[1])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_log(About("test"), fill, tmp_path / "log", overwrite=True)
    assert BehaviourLog.open(tmp_path / "log").digest == before.digest
    assert [path.name for path in tmp_path.iterdir()] == ["log"], "nothing half written lies about"


def test_items_and_events_are_streamed_by_row_group(tmp_path):
    def fill(writer: LogWriter) -> None:
        writer.add_items(id=[str(item) for item in range(2500)], title=["x"] * 2500)
        for block in range(2):
            writer.add_events(
                user=["u"] * 40_000, item=["1"] * 40_000, time=range(40_000 * block, 40_000 * (block + 1))
            )

    log = write_log(About("test"), fill, tmp_path / "log")
    assert [len(batch) for batch in log.event_batches(["time"])] == [65_536, 80_000 - 65_536]
    assert [len(batch) for batch in log.item_batches(["id"])] == [1000, 1000, 500]
    times = np.concatenate([batch["time"].to_numpy() for batch in log.event_batches(["time"])])
    assert np.array_equal(times, np.arange(80_000))


def lose_column(log: Path) -> None:
    pq.write_table(pq.read_table(log / "events.parquet").drop(["label"]), log / "events.parquet")


def change_type(log: Path) -> None:
    table = pq.read_table(log / "events.parquet")
    pq.write_table(table.set_column(2, "time", table["time"].cast(pa.string())), log / "events.parquet")


def lose_rows(log: Path) -> None:
    pq.write_table(pq.read_table(log / "items.parquet").slice(0, 1), log / "items.parquet")


def cut_off(log: Path) -> None:
    content = (log / "events.parquet").read_bytes()
    (log / "events.parquet").write_bytes(content[:-20])


def from_the_future(log: Path) -> None:
    record = json.loads((log / "log.json").read_text())
    (log / "log.json").write_text(json.dumps(record | {"format": 99}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lose_column, "lacks the column 'label'"),
        (change_type, "column 'time' is string, expected int64"),
        (lose_rows, "has 1 rows, log.json says 2"),
        (cut_off, "cannot read .*events.parquet"),
        (from_the_future, "has format 99"),
        (lambda log: (log / "log.json").unlink(), "no behaviour log"),
        (lambda log: (log / "users.parquet").unlink(), "cannot read .*users.parquet"),
    ],
)
def test_a_damaged_log_is_refused_with_what_is_wrong(tmp_path, damage, message):
    write_events(tmp_path / "log", EVENTS)
    damage(tmp_path / "log")
    with pytest.raises(LogError, match=message):
        BehaviourLog.open(tmp_path / "log")


GROWING = """
import sys
from pathlib import Path
import numpy as np
import pyarrow as pa
from rapport_training.interest.data.log_writer import About, write_log

def fill(writer):
    rng = np.random.default_rng(0)
    for block in range(int(sys.argv[1])):
        user = pa.array(rng.integers(0, 1000, 50_000).astype(str))
        item = pa.array(rng.integers(0, 1000, 50_000).astype(str))
        writer.add_events(user=user, item=item, time=rng.integers(0, 10**9, 50_000))

log = write_log(About("test"), fill, Path(sys.argv[2]), memory_bytes=8 << 20)
groups = 0
for batch in log.event_batches():
    groups += 1
    assert len(batch) <= 65_536
print(log.event_count, pa.default_memory_pool().max_memory())
"""


def peak_of(blocks: int, out: Path) -> tuple[int, int]:
    command = [sys.executable, "-c", GROWING, str(blocks), str(out)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=110).stdout
    events, peak = map(int, printed.split())
    return events, peak


def test_memory_does_not_grow_with_the_log(tmp_path):
    few, small = peak_of(12, tmp_path / "small")
    many, large = peak_of(36, tmp_path / "large")
    assert few > 590_000
    assert many > 1_790_000
    assert large < 1.3 * small, f"{few} events took {small >> 20} MiB, {many} took {large >> 20} MiB"


def test_what_others_put_into_a_log_is_not_deleted_with_it(tmp_path):
    out = tmp_path / "log"
    digest = write_events(out, EVENTS).digest

    def fill(writer: LogWriter) -> None:
        writer.add_events(user=["u"], item=["a"], time=[1])

    def fill_while_another_writes(writer: LogWriter) -> None:
        fill(writer)
        (out / "prepared").mkdir()

    for filled in (fill_while_another_writes, fill):
        with pytest.raises(SettingsError, match="holds prepared, too, which --overwrite would delete"):
            write_log(About("test"), filled, out, overwrite=True)
        assert (out / "prepared").is_dir()
        assert BehaviourLog.open(out).digest == digest
    (out / "prepared").rmdir()
    (out / "tokens").mkdir()  # a training's cache
    assert write_log(About("test"), fill, out, overwrite=True).event_count == 1


def test_ctrl_c_between_the_two_renames_leaves_what_was_there(tmp_path, monkeypatch):
    digest = write_events(tmp_path / "log", EVENTS).digest
    rename = Path.rename

    def interrupted(self: Path, target: Path) -> Path:
        if Path(target) == tmp_path / "log" and self.name == "log":
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_log(About("test"), lambda writer: writer.add_events(user=["u"], item=["a"], time=[1]), tmp_path / "log",
                  overwrite=True)  # fmt: skip
    monkeypatch.undo()
    assert BehaviourLog.open(tmp_path / "log").digest == digest


def test_a_flipped_bit_is_noticed(tmp_path):
    log = write_events(tmp_path / "log", [Event(f"user{t % 7}", f"item{t * t % 31}", t, 1 + t % 5) for t in range(500)])
    whole = list(log.event_batches())
    path = log.path / "events.parquet"
    content = path.read_bytes()
    for place in range(100, len(content) // 2, 97):
        path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        try:
            found = list(log.event_batches())
        except LogError:
            continue
        assert found == whole, place
