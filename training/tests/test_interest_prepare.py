"""Samples: histories that end before the event, splits, sampled negatives, cold items."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from behaviour_logs import Event, write_events
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport_edge.errors import SettingsError
from rapport_training.interest.batch import UNKNOWN
from rapport_training.interest.data.errors import LogError
from rapport_training.interest.data.log import BehaviourLog
from rapport_training.interest.data.log_writer import About, LogWriter, write_log
from rapport_training.interest.data.prepare import prepare
from rapport_training.interest.data.prepared import SPLITS, PreparedLog
from rapport_training.interest.data.settings import PrepareSettings

EVENT = st.builds(
    Event,
    user=st.sampled_from(["anna", "bert", "cleo", "dora"]),
    item=st.sampled_from(list("abcdefgh")),
    time=st.integers(0, 40),
    stars=st.integers(1, 5),
    kind=st.sampled_from(["rating", "view"]),
)
#: Both labels, and five distinct times at either end: no split is empty.
ALWAYS = [Event("anna", "a", -t, 1 + 4 * (t % 2)) for t in range(1, 6)]
ALWAYS += [Event("bert", "b", 50 + t, 1 + 4 * (t % 2)) for t in range(5)]
LOGS = st.lists(EVENT, min_size=5, max_size=35).map(lambda events: ALWAYS + events)


def distinct(events: list[Event]) -> list[Event]:
    """As the log keeps them: sorted by time, the first of duplicates."""
    kept = {}
    for event in events:
        kept.setdefault((event.user, event.item, event.time, event.kind), event)
    return sorted(kept.values(), key=lambda event: event.time)


def samples_of(prepared: PreparedLog):
    """(split, user, item, label, time, history, cold) of every sample."""
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


@settings(max_examples=30)
@given(
    events=LOGS,
    protocol=st.sampled_from(["time", "leave-last-out"]),
    negatives=st.sampled_from([0, 0, 1, 3]),
    history_kinds=st.sampled_from([(), ("rating",)]),
    part_events=st.integers(1, 30),
)
def test_nothing_of_the_event_or_after_it_is_in_its_history(
    tmp_path_factory, events, protocol, negatives, history_kinds, part_events
):
    folder = tmp_path_factory.mktemp("leak")
    log = write_events(folder / "log", events)
    chosen = PrepareSettings(
        protocol=protocol, shares=(0.5, 0.25, 0.25), negatives=negatives, history_kinds=history_kinds
    )
    try:
        prepared = prepare(log, chosen, folder / "prepared", part_events=part_events)
    except LogError as error:
        assert "would be empty" in str(error), "random times can leave a split without events"
        return
    kept = distinct(events)
    behaviours = [event for event in kept if event.stars >= 4 and event.kind in (history_kinds or ("rating", "view"))]
    found = list(samples_of(prepared))
    for _, user, _, _, time, history, _ in found:
        before = [event.item for event in behaviours if event.user == user and event.time < time]
        assert history == before, "a history is all that the user liked strictly before, oldest first"
    check_events(found, kept, negatives)
    check_splits(found, protocol)
    trained = {item for split, _, item, *_ in found if split == "train"}
    assert all(cold == (item not in trained) for _, _, item, _, _, _, cold in found)


def check_events(found, kept, negatives):
    """Each event is explained once, and no sampled negative was met, ever."""
    real = [(user, item, time, label) for _, user, item, label, time, _, _ in found if label or not negatives]
    wanted = [event for event in kept if event.stars >= 4 or not negatives]
    assert sorted(real) == sorted((e.user, e.item, e.time, int(e.stars >= 4)) for e in wanted)
    if not negatives:
        return
    met = {(event.user, event.item) for event in kept}
    first_met = {event.item: event.time for event in reversed(kept)}
    for _, user, item, label, time, _, _ in found:
        if not label:
            assert (user, item) not in met
            assert first_met[item] <= time, "an item that nobody had seen yet"


def check_splits(found, protocol):
    """No test event is before a training event: of all, or of the same user."""
    for one_split, one_user, _, _, one_time, _, _ in found:
        for other_split, other_user, _, _, other_time, _, _ in found:
            if SPLITS.index(one_split) >= SPLITS.index(other_split):
                continue
            if protocol == "time":
                assert one_time < other_time
            elif one_user == other_user:
                assert one_time <= other_time


RATINGS = [
    Event("anna", item, time, stars) for time, (item, stars) in enumerate(zip("abcdefghij", [5, 1] * 5, strict=True))
]


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


def test_what_training_has_not_seen_is_unknown_to_its_vocabularies(tmp_path):
    events = [Event("anna", "a", t, 1 + 4 * (t % 2)) for t in range(8)]
    events += [Event("bert", "bb", 8), Event("bert", "bb", 9)]
    prepared = prepare(write_events(tmp_path / "log", events), PrepareSettings(), tmp_path / "out")
    index = {one: place for place, one in enumerate(prepared.item_ids)}
    assert prepared.item_values[index["a"]].tolist() == [index["a"], 2]
    assert prepared.item_values[index["bb"]].tolist() == [UNKNOWN, UNKNOWN], "neither the item nor its category 'even'"
    assert prepared.user_values[:, 0].tolist() == [0, 1, 2, UNKNOWN]
    assert [field.name for field in prepared.item_fields] == ["item", "category"]
    assert prepared.item_fields[1].vocabulary == 3
    assert prepared.item_created.tolist() == [-1, -1, 0, 8]


def test_attributes_with_several_values_become_columns(tmp_path):
    def fill(writer):
        genres = [["drama", "war"], ["war"], [], ["war", "noir", "drama"]]
        writer.add_items(id=list("abcd"), attributes=[[("genre", one), ("year", ["1999"])] for one in genres])
        writer.add_users(id=["u"], attributes=[[("age", ["20s"])]])
        writer.add_events(user=["u"] * 10, item=list("abcabcabcd"), time=range(10), label=[1.0, 0.0] * 5)

    prepared = prepare(write_log(About("test"), fill, tmp_path / "log"), PrepareSettings(), tmp_path / "out")
    fields = {field.name: (field.vocabulary, field.columns) for field in prepared.item_fields}
    assert fields == {"item": (6, 1), "category": (2, 1), "genre": (4, 3), "year": (3, 1)}
    genre = prepared.item_values[2:, 2:5].tolist()
    assert genre == [[2, 3, 0], [3, 0, 0], [0, 0, 0], [3, UNKNOWN, 2]]
    assert [field.name for field in prepared.user_fields] == ["user", "age"]


def test_negatives_depend_on_the_seed_and_nothing_else(tmp_path):
    events = [Event(user, item, t) for t, (user, item) in enumerate(zip("uvwxy" * 10, "abcdefghij" * 5, strict=True))]
    log = write_events(tmp_path / "log", events)

    def drawn(name: str, seed: int) -> list:
        prepared = prepare(log, PrepareSettings(negatives=2, seed=seed), tmp_path / name)
        return [row[1:5] for row in samples_of(prepared)]

    assert drawn("1", 0) == drawn("2", 0) != drawn("3", 1)


def test_popular_items_are_drawn_more_often_when_asked_for(tmp_path):
    events = [Event(f"u{t}", "hit", t) for t in range(180)]
    events += [Event(f"v{t}", "rare", t) for t in range(20)]
    events += [Event(f"w{t}", "third", t) for t in range(200)]
    log = write_events(tmp_path / "log", events)

    def share(by: str) -> float:
        prepared = prepare(log, PrepareSettings(negatives=4, negatives_by=by), tmp_path / by)
        negative = [row[2] for row in samples_of(prepared) if row[1][0] == "w" and row[3] == 0]
        return negative.count("hit") / len(negative)

    assert abs(share("uniform") - 0.5) < 0.08
    assert abs(share("popularity") - 0.9) < 0.08


def test_a_user_who_met_everything_gets_no_negatives(tmp_path):
    events = [Event("anna", item, t) for t, item in enumerate("abcdefgh")] + [Event("bert", "a", t) for t in range(9)]
    prepared = prepare(write_events(tmp_path / "log", events), PrepareSettings(negatives=1), tmp_path / "out")
    assert not [row for row in samples_of(prepared) if row[1] == "anna" and row[3] == 0]
    assert prepared.record.counts["negatives that no item was left for"] >= 8


@pytest.mark.parametrize(
    ("stars", "chosen", "message"),
    [
        (5, {}, "all 10 events of test are liked: sample --negatives"),
        (1, {}, "all 10 events of test are not liked"),
        (5, {"sample_kinds": ("purchase",)}, "no events of the kinds"),
        (5, {"shares": (0.9, 0.2, 0.1)}, "must be above 0 and add up to 1"),
    ],
)
def test_settings_that_do_not_suit_the_log_are_refused(tmp_path, stars, chosen, message):
    log = write_events(tmp_path / "log", [Event("u", f"i{t}", t, stars) for t in range(10)])
    with pytest.raises(SettingsError, match=message):
        prepare(log, PrepareSettings(**chosen), tmp_path / "out")
    assert not (tmp_path / "out").exists()


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
        ("items", "id", ["a"] * 10, "two items have the same id"),
    ],
)
def test_a_log_that_another_program_wrote_wrongly_is_refused(tmp_path, table, column, values, message):
    path = write_events(tmp_path / "log", RATINGS).path / f"{table}.parquet"
    content = pq.read_table(path)
    place = content.schema.get_field_index(column)
    pq.write_table(content.set_column(place, content.schema[place], pa.array(values, content.schema[place].type)), path)
    with pytest.raises(LogError, match=message):
        prepare(BehaviourLog.open(tmp_path / "log"), PrepareSettings(), tmp_path / "out")


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


def test_a_kind_that_makes_no_history_is_refused(tmp_path):
    log = write_events(tmp_path / "log", RATINGS)
    with pytest.raises(SettingsError, match="no liked events of the kinds"):
        prepare(log, PrepareSettings(history_kinds=("ratings",)), tmp_path / "out")


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
