"""Tables of one's own become a log: whatever types a program gave them, and nothing is guessed."""

from __future__ import annotations

import datetime
import math

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from content_log import picture
from source_logs import events_of, items_of, log_of, refusal

from rapport_training.cli import main
from rapport_training.interest.data.log import About
from rapport_training.interest.data.sources.tables import tables

START = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)
EVENTS = {"user": ["u", "u", "v", "u"], "item": ["2", "1", "1", "2"], "time": [30, 20, 10, 30]}


def write(folder, events=EVENTS, **others):
    folder.mkdir(exist_ok=True)
    for name, columns in {"events": events, **others}.items():
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    return folder


def test_whole_numbers_are_ids_and_timestamps_are_seconds(tmp_path):
    days = [START + datetime.timedelta(days=day, milliseconds=900) for day in (2, 1, 0, 2)]
    folder = write(
        tmp_path / "shop",
        {
            **EVENTS,
            "item": [2, 1, 1, 2],
            "time": days,
            "label": [5, 4, 1, 5],
            "kind": pa.array(["buy"] * 4).dictionary_encode(),
        },
        items={"id": [1, 2, 3], "title": ["one", "two", None], "image": [picture(0, 0), b"no picture", None]},
        users={"id": ["u"], "attributes": pa.array([[("group", ["x"])]], pa.map_(pa.string(), pa.list_(pa.string())))},
    )
    log = log_of(tables(folder, About("", label_name="stars", label_scale=5.0)), tmp_path)
    first = int(START.timestamp())
    assert events_of(log, "user", "item", "time", "kind") == [
        ("v", "1", first, "buy"),
        ("u", "1", first + 86_400, "buy"),
        ("u", "2", first + 2 * 86_400, "buy"),
    ]
    assert [label for (label,) in events_of(log, "label")] == pytest.approx([0.2, 0.8, 1.0])
    assert (log.name, log.record.label_name, log.record.timed) == ("shop", "stars", True)
    assert log.record.dropped == {"duplicates of the same user, item, time and kind": 1}
    assert log.record.notes["broken pictures left out"] == 1
    items = items_of(log)
    assert (items["1"]["image"], items["2"]["image"], items["3"]["title"]) == (picture(0, 0), None, "")


def test_an_order_is_enough_and_pictures_may_lie_in_a_folder(tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "1.png").write_bytes(picture(1, 1))
    events = {name: EVENTS[name] for name in ("user", "item")} | {"order": [3, 2, 1, 0]}
    log = log_of(
        tables(write(tmp_path / "shop", events, items={"id": ["1"]}), About("x"), tmp_path / "pictures"), tmp_path
    )
    assert [item for (item,) in events_of(log, "item")] == ["2", "1", "1", "2"]
    assert not log.record.timed
    assert items_of(log)["1"]["image"] == picture(1, 1)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"time": ["2024-01-01"] * 4}, "column 'time' is string, expected Unix seconds or timestamps"),
        ({"time": [1.5] * 4}, "column 'time' is double, expected Unix seconds or timestamps"),
        ({"time": [math.nan] * 4}, "column 'time' is double, expected Unix seconds or timestamps"),
        ({"time": [1_700_000_000_000] * 4}, "are these milliseconds"),
        ({"item": [1.0, 2.0, 3.0, math.nan]}, "column 'item' is double; expected text, or whole numbers as ids"),
        ({"label": [1.0, math.nan, 0.0, 1.0]}, "the label nan; expected a number between 0 and 1"),
        ({"label": [1, 2, 3, 4]}, "the label 2.0; expected a number between 0 and 1"),
        ({"labels": [1, 0, 1, 0]}, "the column 'labels' is none of user, item, time"),
        ({"time": None}, "has neither the column 'time' nor 'order'"),
        ({"user": None}, "lacks the column 'user'"),
    ],
)
def test_what_cannot_be_taken_as_it_is_is_refused(tmp_path, changed, message):
    columns = {name: values for name, values in {**EVENTS, **changed}.items() if values is not None}
    try:
        source = tables(write(tmp_path / "shop", columns), About("x"))
    except Exception as error:  # noqa: BLE001 - what names and types alone tell is said at once
        assert message in str(error)
    else:
        assert message in refusal(source, tmp_path)


def test_the_command_makes_a_log_that_can_be_prepared(tmp_path):
    many = {"user": [f"u{n % 3}" for n in range(60)], "item": [n * n % 11 for n in range(60)], "time": list(range(60))}
    folder = write(tmp_path / "shop", {**many, "label": [n % 2 == 0 for n in range(60)]})
    said = CliRunner().invoke(main, ["interest", "data", "tables", str(folder), "--out", str(tmp_path / "log")])
    assert said.exit_code == 0, said.output
    assert "shop: 6 items, 3 users, 60 events" in said.output
    command = ["interest", "prepare", "--log", str(tmp_path / "log"), "--out", str(tmp_path / "out")]
    assert CliRunner().invoke(main, command).exit_code == 0
    nothing = CliRunner().invoke(main, ["interest", "data", "tables", str(tmp_path), "--out", str(tmp_path / "none")])
    assert nothing.exit_code == 2
    assert "lacks events.parquet" in nothing.output
