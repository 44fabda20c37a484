"""FuxiCTR's files as prepared samples: histories and splits exactly as they stand there."""

from __future__ import annotations

import csv
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport_edge.errors import SettingsError
from rapport_training.interest.batch import UNKNOWN
from rapport_training.interest.commands import interest
from rapport_training.interest.data import fuxictr_files
from rapport_training.interest.data.errors import LogError
from rapport_training.interest.data.fuxictr_files import columns_of
from rapport_training.interest.data.fuxictr_prepared import prepare_fuxictr
from rapport_training.interest.data.prepared import PreparedLog

NAMES = ["label", "user_id", "item_id", "cate_id", "item_history", "cate_history"]
CATEGORY = {"a": "x", "b": "y", "c": "x", "new": "z"}


def write_rows(path: Path, rows: list[tuple]) -> Path:
    """Rows of (label, user, item, history)."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(NAMES)
        for label, user, item, history in rows:
            of_history = "^".join(CATEGORY[one] for one in history)
            writer.writerow([label, user, item, CATEGORY[item], "^".join(history), of_history])
    return path


def rows_of(prepared: PreparedLog, split: str) -> list[tuple]:
    samples = prepared.samples(split)
    return [
        (
            int(samples.label[row]),
            prepared.user_ids[samples.user[row]],
            prepared.item_ids[samples.item[row]],
            tuple(prepared.item_ids[one] for one in prepared.sequence[samples.start[row] : samples.end[row]]),
        )
        for row in range(len(samples))
    ]


ROW = st.tuples(
    st.integers(0, 1),
    st.sampled_from(["u", "v", "w"]),
    st.sampled_from(list(CATEGORY)),
    st.lists(st.sampled_from(list(CATEGORY)), max_size=5).map(tuple),
)


@settings(max_examples=30)
@given(train=st.lists(ROW, min_size=1, max_size=20), test=st.lists(ROW, min_size=1, max_size=20))
def test_every_row_comes_back_as_it_was(tmp_path_factory, train, test):
    folder = tmp_path_factory.mktemp("fuxictr")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fuxictr_files, "_BLOCK_BYTES", 150)  # several blocks per file
        prepared = prepare_fuxictr(
            write_rows(folder / "train.csv", train), write_rows(folder / "test.csv", test), None, folder / "out"
        )
    assert rows_of(prepared, "train") == train
    assert rows_of(prepared, "test") == rows_of(prepared, "validation") == test
    check_unknown(prepared, train, test)


def check_unknown(prepared: PreparedLog, train: list[tuple], test: list[tuple]) -> None:
    """Ids and categories are known if training has them, as a target or in a history."""
    met = {row[2] for row in train} | {one for row in train for one in row[3]}
    for index, item in enumerate(prepared.item_ids[2:], 2):
        own, category = prepared.item_values[index].tolist()
        assert own == (index if item in met else UNKNOWN)
        assert (category != UNKNOWN) == (CATEGORY[item] in {CATEGORY[one] for one in met})
    targets = {row[2] for row in train}
    assert prepared.samples("test").cold.tolist() == [row[2] not in targets for row in test]
    categories = [prepared.item_values[prepared.item_ids.index(one), 1] for one in met]
    assert len(set(categories)) == len({CATEGORY[one] for one in met})


TRAIN, TEST = [(1, "u", "a", ("b",)), (0, "v", "b", ())], [(1, "u", "c", ("a", "b"))]


def test_a_validation_file_and_the_protocol(tmp_path):
    files = [write_rows(tmp_path / f"{name}.csv", rows) for name, rows in [("train", TRAIN), ("test", TEST)]]
    own = prepare_fuxictr(*files, write_rows(tmp_path / "valid.csv", TRAIN[:1]), tmp_path / "1")
    assert rows_of(own, "validation") == TRAIN[:1]
    assert own.protocol == "as in the files: the files' train, validation and test"
    assert "test validates" in prepare_fuxictr(*files, None, tmp_path / "2").protocol


def test_parquet_with_lists_gives_the_same_as_csv(tmp_path):
    of_csv = prepare_fuxictr(
        write_rows(tmp_path / "train.csv", TRAIN), write_rows(tmp_path / "test.csv", TEST), None, tmp_path / "1"
    )
    for name, rows in [("train", TRAIN), ("test", TEST)]:
        columns = {
            "label": pa.array([row[0] for row in rows], pa.float64()),
            "user_id": [row[1] for row in rows],
            "item_id": [row[2] for row in rows],
            "cate_id": [CATEGORY[row[2]] for row in rows],
            "item_history": pa.array([list(row[3]) for row in rows], pa.list_(pa.string())),
            "cate_history": pa.array([[CATEGORY[one] for one in row[3]] for row in rows], pa.list_(pa.string())),
        }
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    of_parquet = prepare_fuxictr(tmp_path / "train.parquet", tmp_path / "test.parquet", None, tmp_path / "2")
    assert rows_of(of_parquet, "train") == rows_of(of_csv, "train") == TRAIN
    assert of_parquet.item_values.tolist() == of_csv.item_values.tolist()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2,u,a,x,b,y", "a label is not between 0 and 1"),
        ("yes,u,a,x,b,y", "a label is no number.*'yes'"),
        ("nan,u,a,x,b,y", "a label is not between 0 and 1"),
        ("1,u,,x,b,y", "nothing in the column item_id"),
        ("1,u,a,x,b^b,y", "row 1 of them has 2 items in item_history and 1 in cate_history"),
        ("1,u,a,x", "Expected 6 columns, got 4"),
    ],
)
def test_a_row_that_is_wrong_is_named(tmp_path, line, message):
    path = write_rows(tmp_path / "train.csv", TRAIN[:1])
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(LogError, match=message):
        prepare_fuxictr(path, path, None, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_columns_of_other_names_and_files_without_categories(tmp_path):
    path = tmp_path / "train.csv"
    path.write_text("click,user_id,movie,seen\n1,u,a,b^c\n0,u,b,\n")
    names = ["label=click", "item=movie", "history=seen", "category=", "category_history="]
    command = ["data", "fuxictr", "--train", str(path), "--test", str(path), "--as-prepared", "--out"]
    options = [part for name in names for part in ("--column", name)]
    made = CliRunner().invoke(interest, [*command, str(tmp_path / "out"), *options])
    assert made.exit_code == 0, made.output
    assert "train: 2 samples, 50.0 % liked, 0 of new items" in made.output
    prepared = PreparedLog.open(tmp_path / "out")
    assert [field.name for field in prepared.item_fields] == ["item"]
    assert rows_of(prepared, "train") == [(1, "u", "a", ("b", "c")), (0, "u", "b", ())]
    with pytest.raises(LogError, match="expected the columns label"):
        prepare_fuxictr(path, path, None, tmp_path / "other")
    with pytest.raises(SettingsError, match="there are label, user, item"):
        columns_of(["film=movie"])


LIST_KINDS = [pa.list_(pa.string()), pa.large_list(pa.string()), pa.list_(pa.string(), 2)]


@pytest.mark.parametrize("kind", LIST_KINDS, ids=str)
def test_parquet_of_other_programs_and_with_nothing_in_places(tmp_path, kind):
    columns = {"label": [1, 0], "user_id": ["u", "v"], "item_id": ["a", "b"], "cate_id": ["x", None]}
    histories = {"item_history": [["a", "b"], ["b", None]], "cate_history": [["x", "y"], ["y", None]]}
    columns |= {name: pa.array(values, kind) for name, values in histories.items()}
    pq.write_table(pa.table(columns), tmp_path / "train.parquet")
    prepared = prepare_fuxictr(tmp_path / "train.parquet", tmp_path / "train.parquet", None, tmp_path / "out")
    assert rows_of(prepared, "train") == [(1, "u", "a", ("a", "b")), (0, "v", "b", ("b",))]


def test_a_file_without_rows_and_half_a_pair_of_columns_are_refused(tmp_path):
    train, test = write_rows(tmp_path / "train.csv", TRAIN), write_rows(tmp_path / "test.csv", [])
    with pytest.raises(LogError, match="the file for validation, test has no rows"):
        prepare_fuxictr(train, test, None, tmp_path / "out")
    with pytest.raises(SettingsError, match="category_history"):
        prepare_fuxictr(train, train, None, tmp_path / "out", columns=columns_of(["category_history="]))
    with pytest.raises(SettingsError, match="separator"):
        columns_of(["separator="])
