"""Parquet files as they are found: good, damaged, from Hugging Face, not Parquet at all."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from rapport_edge.evaluation import DataSetError, LabelledFaces

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

COLUMNS = {"image": [b"a", b"b"], "age": ["3-9", "more than 70"], "gender": ["Male", "female"]}


def _write(path: Path, columns: Mapping[str, object]) -> Path:
    pq.write_table(pa.table(dict(columns)), path)
    return path


def test_reads_labels_and_images(tmp_path: Path) -> None:
    faces = LabelledFaces(_write(tmp_path / "f.parquet", {**COLUMNS, "race": ["White", "latino_hispanic"]}))
    assert len(faces) == 2
    assert (faces.ages, faces.genders, faces.races) == (
        ["3-9", "more than 70"],
        ["Male", "Female"],
        ["White", "Latino_Hispanic"],
    )
    assert list(faces.images(batch_size=1)) == [[b"a"], [b"b"]]


def test_race_is_optional_and_limit_is_kept(tmp_path: Path) -> None:
    faces = LabelledFaces(_write(tmp_path / "f.parquet", COLUMNS), limit=1)
    assert faces.races is None
    assert list(faces.images()) == [[b"a"]]
    assert len(LabelledFaces(tmp_path / "f.parquet", limit=99)) == 2


def test_reads_images_as_hugging_face_writes_them(tmp_path: Path) -> None:
    images = [{"bytes": b"a", "path": "1.jpg"}, {"bytes": None, "path": "2.jpg"}]
    faces = LabelledFaces(_write(tmp_path / "f.parquet", {**COLUMNS, "image": images}))
    assert list(faces.images()) == [[b"a", None]]


def test_reads_class_labels_by_their_names(tmp_path: Path) -> None:
    table = pa.table({**COLUMNS, "gender": [1, 0]})
    info = {"info": {"features": {"gender": {"names": ["Male", "Female"], "_type": "ClassLabel"}}}}
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(info)}), tmp_path / "f.parquet")
    assert LabelledFaces(tmp_path / "f.parquet").genders == ["Female", "Male"]


def test_repairs_what_a_spreadsheet_did(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = _write(tmp_path / "f.parquet", {**COLUMNS, "age": ["03-Sep", "Oct-19"]})
    with caplog.at_level(logging.WARNING):
        assert LabelledFaces(path).ages == ["3-9", "10-19"]
    assert "2 ages were turned into dates" in caplog.text


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"age": ["3-9", "old"]}, r"row 1 \(counted from 0\): age 'old' is not one of 0-2"),
        ({"age": ["3-9", None]}, "row 1 .* age is None"),
        ({"gender": ["Male", "?"]}, "row 1 .* gender"),
        ({"gender": [0, 1]}, "row 0 .* bare integers are refused"),
        ({"race": ["White", "Martian"]}, "row 1 .* race 'Martian'"),
    ],
)
def test_names_the_row_of_a_bad_label(tmp_path: Path, columns: dict[str, object], reason: str) -> None:
    path = _write(tmp_path / "f.parquet", {**COLUMNS, **columns})
    with pytest.raises(DataSetError, match=reason):
        LabelledFaces(path)


def test_names_missing_columns(tmp_path: Path) -> None:
    path = _write(tmp_path / "f.parquet", {"file": ["a"], "age": ["3-9"]})
    with pytest.raises(DataSetError, match="no column image, gender; it has file, age"):
        LabelledFaces(path)


def test_names_a_column_that_is_there_twice(tmp_path: Path) -> None:
    table = pa.table([*COLUMNS.values(), COLUMNS["age"]], names=[*COLUMNS, "age"])
    pq.write_table(table, tmp_path / "f.parquet")
    with pytest.raises(DataSetError, match="more than one column age"):
        LabelledFaces(tmp_path / "f.parquet")


def test_refuses_a_damaged_page_of_labels(tmp_path: Path) -> None:
    path = _write(tmp_path / "f.parquet", COLUMNS)
    age = pq.ParquetFile(path).metadata.row_group(0).column(1)
    data = bytearray(path.read_bytes())
    start = age.dictionary_page_offset
    data[start : start + age.total_compressed_size] = b"\xff" * age.total_compressed_size
    path.write_bytes(bytes(data))
    with pytest.raises(DataSetError, match="is damaged"):
        LabelledFaces(path)


def test_refuses_what_is_no_parquet(tmp_path: Path) -> None:
    (tmp_path / "f.parquet").write_bytes(b"PAR1 but not really")
    (tmp_path / "folder").mkdir()
    for name in ("f.parquet", "folder"):
        with pytest.raises(DataSetError, match="not a Parquet file"):
            LabelledFaces(tmp_path / name)
    with pytest.raises(DataSetError, match="there is no file"):
        LabelledFaces(tmp_path / "absent.parquet")
    with pytest.raises(DataSetError, match="no rows"):
        LabelledFaces(_write(tmp_path / "f.parquet", {name: [] for name in COLUMNS}))
    with pytest.raises(DataSetError, match="holds str"):
        list(LabelledFaces(_write(tmp_path / "f.parquet", {**COLUMNS, "image": ["a.jpg", "b.jpg"]})).images())


def test_says_how_to_install_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataSetError, match=r"pip install 'rapport-edge\[evaluate\]'"):
        LabelledFaces(tmp_path / "f.parquet")
