"""FairFace's label files as they are found on people's disks."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapport_edge.evaluation import DataSetError
from rapport_training.data.label_csv import find_picture, read_labels

HEADER = "file,age,gender,race,service_test"
ROWS = ["val/1.jpg,3-9,Male,East Asian,True", "val/2.jpg,50-59,Female,Latino_Hispanic,False"]


def label_file(folder: Path, *lines: str, encoding: str = "utf-8") -> Path:
    path = folder / "fairface_label_val.csv"
    path.write_bytes("\r\n".join(lines).encode(encoding))
    return path


def test_labels_are_read(tmp_path: Path) -> None:
    first, second = read_labels(label_file(tmp_path, HEADER, *ROWS))
    assert (first.file, first.age, first.gender, first.race) == ("val/1.jpg", "3-9", "Male", "East Asian")
    assert (second.age, second.race) == ("50-59", "Latino_Hispanic")
    assert len(read_labels(tmp_path / "fairface_label_val.csv", limit=1)) == 1


def test_a_spreadsheets_marks_blank_lines_and_semicolons_survive(tmp_path: Path) -> None:
    clean = read_labels(label_file(tmp_path, HEADER, *ROWS))
    lines = [HEADER, *ROWS, ",,,,", "", "  ,,,,", ""]
    assert read_labels(label_file(tmp_path, *lines, encoding="utf-8-sig")) == clean
    assert read_labels(label_file(tmp_path, *(line.replace(",", ";") for line in lines))) == clean
    assert read_labels(label_file(tmp_path, HEADER.title(), *ROWS)) == clean


def test_ages_that_became_dates_are_repaired_with_a_warning(tmp_path: Path, caplog) -> None:
    path = label_file(tmp_path, HEADER, ROWS[0].replace("3-9", "03-Sep"), ROWS[1].replace("50-59", "Oct-19"))
    with caplog.at_level(logging.WARNING):
        assert [row.age for row in read_labels(path)] == ["3-9", "10-19"]
    assert "2 ages were turned into dates" in caplog.text
    assert str(path) in caplog.text


@pytest.mark.parametrize(("wrong", "right"), [("3-9", "4-8"), ("Male", "M"), ("East Asian", "3")])
def test_an_unknown_label_is_refused_with_its_line(tmp_path: Path, wrong: str, right: str) -> None:
    path = label_file(tmp_path, HEADER, ROWS[1], ROWS[0].replace(wrong, right))
    with pytest.raises(DataSetError, match=rf"fairface_label_val\.csv, line 3: .*'{right}'"):
        read_labels(path)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "no column file, age, gender, race"),
        (["file,age,gender", "val/1.jpg,3-9,Male"], "no column race; its first line names file, age, gender"),
        (["file,age,gender,race,race", "a,b,c,d,e"], "more than one column race"),
        ([HEADER], "has no rows"),
        ([HEADER, ROWS[0], "val/2.jpg,50-59"], "line 3: gender, race is empty"),
        ([HEADER, ",50-59,Male,White,True"], "line 2: file is empty"),
    ],
)
def test_a_file_that_lacks_something_is_refused(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(DataSetError, match=message):
        read_labels(label_file(tmp_path, *lines))


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF")
    with pytest.raises(DataSetError, match=r"a\.csv is not a label file"):
        read_labels(tmp_path / "a.csv")
    with pytest.raises(DataSetError, match=r"b\.csv is not a label file"):
        read_labels(tmp_path / "b.csv")


@given(st.lists(st.sampled_from(["fairface", "C:", "data", "with blank", "."]), max_size=4), st.sampled_from("/\\"))
def test_prefixes_of_other_machines_are_dropped(tmp_path_factory, prefix: list[str], separator: str) -> None:
    root = tmp_path_factory.getbasetemp() / "prefixes"
    (root / "val").mkdir(parents=True, exist_ok=True)
    (root / "val" / "1.jpg").touch()
    assert find_picture(root, separator.join([*prefix, "val", "1.jpg"])) == root / "val" / "1.jpg"
    assert find_picture(root, separator + separator.join([*prefix, "val", "1.jpg"])) == root / "val" / "1.jpg"


def test_a_picture_of_another_folder_is_another_person(tmp_path: Path) -> None:
    (tmp_path / "val").mkdir()
    for picture in (tmp_path / "val" / "1.jpg", tmp_path / "2.jpg"):
        picture.touch()
    assert find_picture(tmp_path, "train/1.jpg") is None
    assert find_picture(tmp_path, "train/2.jpg") is None
    assert find_picture(tmp_path, "2.jpg") == tmp_path / "2.jpg"
    assert find_picture(tmp_path / "val", "../2.jpg") is None
    assert find_picture(tmp_path, "val") is None
