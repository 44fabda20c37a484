"""A split as training reads it: what was written comes back, also in another process, and damage has a name."""

from __future__ import annotations

import hashlib
import os
import pickle
import shutil
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rapport_edge.evaluation import DataSetError
from rapport_edge.images import decode_compressed
from rapport_training.data.schema import SCHEMA
from rapport_training.data.user_faces import SPLITS, UserFaces


@pytest.fixture
def copy(fair_user: Path, tmp_path: Path) -> Path:
    """A data set that a test may damage, not mapped yet."""
    return Path(shutil.copytree(fair_user, tmp_path / "copy", ignore=shutil.ignore_patterns("*.arrow")))


def changed(folder: Path, split: str, **columns: list) -> Path:
    """Writes a split again with other columns."""
    path = folder / f"{split}.parquet"
    table = pq.read_table(path)
    for name, values in columns.items():
        column = pa.array(values, SCHEMA.field(name).type)
        table = table.set_column(table.column_names.index(name), name, column)
    pq.write_table(table, path)
    return path


@pytest.mark.parametrize("split", SPLITS)
def test_what_was_written_comes_back(fair_user: Path, split: str) -> None:
    faces = UserFaces.open(fair_user, split)
    table = pq.read_table(fair_user / f"{split}.parquet").to_pydict()
    assert (faces.name, faces.split, len(faces)) == ("FairUser", split, len(table["image"]))
    for name in ("caption", "age", "gender", "race", "content"):
        assert getattr(faces, name).tolist() == table[name]
    assert faces.landmarks.shape == (len(faces), 5, 2)
    for row in np.random.default_rng(0).permutation(len(faces))[:5]:
        assert faces.image(row) == table["image"][row]
        assert hashlib.sha256(faces.image(row)).hexdigest() == faces.content[row]
        np.testing.assert_array_equal(faces.picture(row), decode_compressed(table["image"][row]))
        assert faces.file(row) == table["file"][row]
        assert faces.attributes(row) == {}
        np.testing.assert_array_equal(faces.landmarks[row].ravel(), np.float32(table["landmarks"][row]))


def test_a_pickled_split_opens_again_in_another_process(fair_user: Path) -> None:
    faces = UserFaces.open(fair_user, "val")
    assert len(pickle.dumps(faces)) < 1000
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        digest, picture = pool.submit(look_at, faces).result()
    assert digest == faces.digest
    assert picture == faces.picture(1).tobytes()


def look_at(faces: UserFaces) -> tuple[str, bytes]:
    return faces.digest, faces.picture(1).tobytes()


def test_labels_and_landmarks_that_are_not_there(copy: Path) -> None:
    count = len(UserFaces.open(copy, "val"))
    points = [None if row % 2 else [float(row)] * 10 for row in range(count)]
    changed(copy, "val", race=[None] * count, landmarks=points, attributes=['{"hair": "brown"}'] * count)
    faces = UserFaces.open(copy, "val")
    assert set(faces.race) == {""}
    assert np.isnan(faces.landmarks[1::2]).all()
    assert (faces.landmarks[2::2, 0, 0] == np.arange(2, count, 2)).all()
    assert faces.attributes(0) == {"hair": "brown"}


def test_the_digest_is_that_of_the_rows(copy: Path) -> None:
    before = UserFaces.open(copy, "val")
    path = changed(copy, "val")  # other bytes, same rows
    assert UserFaces.open(copy, "val").digest == before.digest
    captions = before.caption.tolist()
    changed(copy, "val", caption=["somebody", *captions[1:]])
    after = UserFaces.open(copy, "val")
    assert after.caption[0] == "somebody"
    assert after.digest != before.digest
    os.utime(path)
    assert UserFaces.open(copy, "val").digest == after.digest


def test_a_damaged_map_is_made_again(copy: Path) -> None:
    digest = UserFaces.open(copy, "val").digest
    mapped = copy / "val.arrow"
    mapped.write_bytes(mapped.read_bytes()[:1000])
    assert UserFaces.open(copy, "val").digest == digest


def test_a_data_set_that_cannot_be_written_to_is_mapped_elsewhere(copy: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != copy)
    faces = UserFaces.open(copy, "val")
    assert not (copy / "val.arrow").exists()
    assert len(list((tmp_path / "cache").rglob("*val.arrow"))) == 1
    assert pickle.loads(pickle.dumps(faces)).image(0) == faces.image(0)


def test_what_is_not_there_is_named(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(DataSetError, match=r"there is no data set in .*nowhere.*rapport-train data"):
        UserFaces.open(tmp_path / "nowhere", "val")
    with pytest.raises(DataSetError, match="'valid' is not a split; there are train, val, test"):
        UserFaces.open(copy, "valid")
    (copy / "val.parquet").unlink()
    with pytest.raises(DataSetError, match=r"there is no file .*val\.parquet"):
        UserFaces.open(copy, "val")
    (copy / "data_set.json").write_text("[]")
    with pytest.raises(DataSetError, match=r"data_set\.json does not describe"):
        UserFaces.open(copy, "test")


@pytest.mark.parametrize("keep", [0, 100, -100])
def test_a_truncated_parquet_is_named(copy: Path, keep: int) -> None:
    path = copy / "val.parquet"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataSetError, match=r"val\.parquet .*is damaged"):
        UserFaces.open(copy, "val")
    assert not (copy / "val.arrow").exists()


def test_a_flipped_bit_in_a_picture_is_noticed(copy: Path) -> None:
    path = copy / "val.parquet"
    content = bytearray(path.read_bytes())
    picture = UserFaces.open(copy, "test").image(0)
    content[len(picture) // 2] ^= 1  # the first picture's bytes come first
    path.write_bytes(content)
    with pytest.raises(DataSetError, match=r"val\.parquet .*is damaged"):
        UserFaces.open(copy, "val")


def test_a_column_that_is_missing_or_empty_or_no_rows(copy: Path) -> None:
    path = copy / "val.parquet"
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(["caption", "file"]), path)
    with pytest.raises(DataSetError, match=r"val\.parquet has no column caption, file"):
        UserFaces.open(copy, "val")
    pq.write_table(table.slice(0, 0), path)
    with pytest.raises(DataSetError, match=r"val\.parquet has no rows"):
        UserFaces.open(copy, "val")
    emptied = table.set_column(1, "caption", pa.array([None] * len(table), pa.string()))
    pq.write_table(emptied, path)
    with pytest.raises(DataSetError, match=r"val\.parquet .*is damaged"):
        UserFaces.open(copy, "val")


def test_a_damaged_picture_is_named(copy: Path) -> None:
    faces = UserFaces.open(copy, "val")
    pictures = [faces.image(row) for row in range(len(faces))]
    changed(copy, "val", image=[pictures[0], pictures[1][:200], *pictures[2:]])
    damaged = UserFaces.open(copy, "val")
    damaged.picture(0)
    with pytest.raises(DataSetError, match=rf"val\.parquet, row 1 \(counted from 0\), file {faces.file(1)}"):
        damaged.picture(1)
