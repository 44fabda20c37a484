"""Settings, logs and disks that do not serve are refused, and nothing is left behind."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from behaviour_logs import Event, write_events
from click.testing import CliRunner
from prepared_samples import RATINGS

from rapport_edge.errors import SettingsError
from rapport_training.cli import main
from rapport_training.interest.data.errors import LogError
from rapport_training.interest.data.log import BehaviourLog
from rapport_training.interest.data.prepare import prepare
from rapport_training.interest.data.prepared import PreparedLog
from rapport_training.interest.data.settings import PrepareSettings
from rapport_training.interest.tables.open_log import open_log
from rapport_training.interest.tables.suite import LogPlan


@pytest.mark.parametrize(
    ("stars", "chosen", "message"),
    [
        (5, {}, "all 10 events of test are liked: sample --negatives"),
        (1, {}, "all 10 events of test are not liked"),
        (5, {"sample_kinds": ("purchase",)}, "no events of the kinds"),
        (5, {"shares": (0.9, 0.2, 0.1)}, "must be above 0 and add up to 1"),
        (5, {"protocol": "leave-last-out", "shares": (0.7, 0.2, 0.1)}, "leave-last-out has no shares"),
        (5, {"negatives_by": "popularity"}, "no negatives are drawn by popularity: say how many"),
    ],
)
def test_settings_that_do_not_suit_the_log_are_refused(tmp_path, stars, chosen, message):
    log = write_events(tmp_path / "log", [Event("u", f"i{t}", t, stars) for t in range(10)])
    with pytest.raises(SettingsError, match=message):
        prepare(log, PrepareSettings(**chosen), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_kind_that_makes_no_history_is_refused(tmp_path):
    log = write_events(tmp_path / "log", RATINGS)
    with pytest.raises(SettingsError, match="no liked events of the kinds"):
        prepare(log, PrepareSettings(history_kinds=("ratings",)), tmp_path / "out")


def test_an_empty_split_and_a_log_out_of_order_are_refused(tmp_path):
    log = write_events(
        tmp_path / "same", [Event("u", item, 7, stars) for item, stars in zip("abc", [5, 1, 5], strict=True)]
    )
    with pytest.raises(LogError, match="the split train, validation would be empty"):
        prepare(log, PrepareSettings(), tmp_path / "out")
    log = write_events(tmp_path / "log", RATINGS)
    events = pq.read_table(log.path / "events.parquet")
    pq.write_table(events.take(list(range(9, -1, -1))), log.path / "events.parquet")
    with pytest.raises(LogError, match="not sorted by time"):
        prepare(log, PrepareSettings(), tmp_path / "out")


@pytest.mark.parametrize(
    ("table", "column", "values", "message"),
    [
        ("events", "label", [float("nan")] * 10, "an event has no label, or NaN"),
        ("events", "item", ["z"] * 10, "names a user or an item that the log does not have"),
        ("events", "time", [None] * 10, "an event has no time"),
        ("events", "time", [1_700_000_000_000 + t for t in range(10)], "has the time .*: are these milliseconds"),
        ("events", "user", [None] * 10, "an event has no user"),
        ("events", "label", [0.0, 5.0] * 5, "labels from 0 to 5; expected 0 to 1"),
        ("events", "label", [0.0, float("inf")] * 5, "labels from 0 to inf; expected 0 to 1"),
        ("items", "attributes", [[("category", ["x"])]] * 10, "an attribute of the items is called 'category'"),
        ("users", "attributes", [[("user", ["x"])]] * 10, "an attribute of the users is called 'user'"),
        ("items", "id", ["a"] * 10, "two items have the same id"),
    ],
)
def test_a_log_that_another_program_wrote_wrongly_is_refused(tmp_path, table, column, values, message):
    path = write_events(tmp_path / "log", RATINGS).path / f"{table}.parquet"
    content = pq.read_table(path)
    place, values = content.schema.get_field_index(column), values[: len(content)]
    pq.write_table(content.set_column(place, content.schema[place], pa.array(values, content.schema[place].type)), path)
    with pytest.raises(LogError, match=message):
        prepare(BehaviourLog.open(tmp_path / "log"), PrepareSettings(), tmp_path / "out")


def test_damaged_samples_are_refused(tmp_path):
    out = tmp_path / "out"
    prepare(write_events(tmp_path / "log", RATINGS), PrepareSettings(), out)
    np.save(out / "samples" / "train" / "label.npy", np.zeros(3, np.float32))
    with pytest.raises(LogError, match=r"columns of samples/train have \[3, 8\] rows"):
        PreparedLog.open(out).samples("train")
    (out / "sequence.npy").write_bytes(b"nothing")
    with pytest.raises(LogError, match=r"sequence\.npy is missing or damaged"):
        PreparedLog.open(out)
    with pytest.raises(LogError, match="holds no prepared samples"):
        PreparedLog.open(tmp_path)


FULL = """
import sys
from pathlib import Path
import numpy as np
from rapport_training.interest.data.errors import LogError
from rapport_training.interest.data.new_folder import new_folder
from rapport_training.interest.data.prepared import NAMES
from rapport_training.interest.data.prepared_writer import PreparedWriter

out, end = Path(sys.argv[1]) / "out", np.arange(1, 101) * 2000
columns = {"user": end * 0 + 2, "item": end * 0 + 2, "label": end * 0, "time": end * 0, "start": end - 2000, "end": end}
try:
    with new_folder(out, NAMES, overwrite=False) as folder, PreparedWriter(folder, timed=False) as writer:
        writer.add_sequence(np.full(200_000, 2))
        writer.add("train", columns)
        writer.close_samples(3, 3)
except LogError as error:
    print(error, list(out.parent.iterdir()))
"""


def test_a_disk_that_is_full_in_the_end_is_an_error_and_leaves_nothing(tmp_path):
    """The behaviours fit, what is counted along them does not."""
    mounted = 'mount -t tmpfs -o size=1200k none "$0" || exit 77; exec "$@"'
    program = [sys.executable, "-c", FULL, str(tmp_path)]
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mounted, str(tmp_path), *program]
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare, for a disk that is full")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 77 or done.stderr.startswith("unshare"):
        pytest.skip("this system lets no one mount a disk that is full")
    assert done.returncode == 0, done.stderr
    assert "No space left on device [" in done.stdout
    assert done.stdout.rstrip().endswith("[]")


KILLED = """
import os, signal, sys
from rapport_training.cli import main
from rapport_training.interest.data.prepared_writer import PreparedWriter
PreparedWriter.finish = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
main(sys.argv[1:])
"""


def test_what_a_killed_command_left_is_removed_by_the_same_command(tmp_path):
    log = write_events(tmp_path / "log", RATINGS)
    command = ["interest", "prepare", "--log", str(log.path), "--out", str(tmp_path / "data" / "out")]
    done = subprocess.run([sys.executable, "-c", KILLED, *command], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = (tmp_path / "data").iterdir()
    assert (left / "out" / "sequence.npy").is_file()
    again = CliRunner().invoke(main, command)
    assert again.exit_code == 0, again.output
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["out"]


def test_the_tables_refuse_samples_of_another_log(tmp_path):
    mine, other = (write_events(tmp_path / name, RATINGS[: 10 - n]) for n, name in enumerate(("mine", "other")))
    samples = prepare(mine, PrepareSettings(), tmp_path / "samples").path
    plan = LogPlan(title="ratings")
    assert open_log(plan, None, samples, tmp_path).log is None
    with pytest.raises(SettingsError, match=r"log ratings: .*samples was not prepared from .*other"):
        open_log(plan, other.path, samples, tmp_path)
