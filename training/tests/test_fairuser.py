"""FairUser made from FairFace as people have it: real faces in folders, label files with every known fault."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import logging
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from rapport_edge.errors import SettingsError
from rapport_edge.evaluation import DataSetError
from rapport_edge.labels import AGE_BINS, parse_age
from rapport_training.data import builder
from rapport_training.data.about import About
from rapport_training.data.builder import build
from rapport_training.data.commands import data
from rapport_training.data.fairface import is_validation, label_files
from rapport_training.data.fairuser import FairUserSettings, build_fairuser
from rapport_training.data.rows import SourceRow
from rapport_training.data.user_faces import SPLITS, UserFaces
from rapport_training.demographic.captions import FAIRUSER

PREFIXES = ("{0}", "./{0}", "fairface/{0}", "fairface\\{0}", "{0}", "{0}")
DAMAGE = {"3-9": "03-Sep", "10-19": "Oct-19"}


@dataclass
class Published:
    """FairFace's folder, and a data set made from it with its own splits."""

    root: Path
    out: Path
    result: Result
    warnings: str


def write_labels(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "age", "gender", "race", "service_test"])
        for number, row in enumerate(rows):
            name = PREFIXES[number % len(PREFIXES)].format(row["file"]).replace("/", "\\" if number % 6 == 3 else "/")
            writer.writerow([name, DAMAGE.get(row["age"], row["age"]), row["gender"], row["race"], "False"])
        file.write(",,,,\r\n\r\n")


def write_published(source: Path, root: Path) -> None:
    """The first 120 faces as train/, the next 40 as val/; val's first three are in train/ too."""
    faces = pq.read_table(source).to_pylist()
    parts = {"train": faces[:120] + faces[120:123], "val": faces[120:]}
    for part, members in parts.items():
        (root / part).mkdir(parents=True)
        for number, face in enumerate(members):
            face["file"] = f"{part}/{number}.jpg"
            (root / face["file"]).write_bytes(face["image"])
        write_labels(root / f"fairface_label_{part}.csv", members)
    (root / "train" / "7.jpg").unlink()
    for number, kept in ((8, 500), (9, 0)):
        path = root / "train" / f"{number}.jpg"
        path.write_bytes(path.read_bytes()[:kept])


def run(*words: object) -> Result:
    return CliRunner().invoke(data, ["fairuser", *map(str, words)])


@pytest.fixture(scope="module")
def published(few_faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Published:
    folder = tmp_path_factory.mktemp("published")
    write_published(few_faces, folder / "fairface")
    out = folder / "made" / "fairuser"
    warnings = io.StringIO()
    handler = logging.StreamHandler(warnings)
    logging.getLogger("rapport_training").addHandler(handler)
    result = run("--faces", folder / "fairface", "--splits", "own", "--out", out, "--held-out", 0.2, "--processes", 2)
    logging.getLogger("rapport_training").removeHandler(handler)
    return Published(folder / "fairface", out, result, warnings.getvalue())


def test_fairfaces_own_splits(published: Published) -> None:
    assert published.result.exit_code == 0, published.result.output
    faces = {split: UserFaces.open(published.out, split) for split in SPLITS}
    assert len(faces["test"]) == 40
    assert len(faces["train"]) + len(faces["val"]) == 120 - 3
    assert 5 < len(faces["val"]) < 50
    contents = [set(split.content) for split in faces.values()]
    assert len(set.union(*contents)) == sum(map(len, faces.values()))
    assert not list(published.out.parent.glob(".*"))


def test_rows_carry_the_papers_caption_repaired_labels_and_landmarks(published: Published, few_faces: Path) -> None:
    truth = {hashlib.sha256(row["image"]).hexdigest(): row for row in pq.read_table(few_faces).to_pylist()}
    detected = 0
    for split in SPLITS:
        faces = UserFaces.open(published.out, split)
        for row, content in enumerate(faces.content):
            label = truth[content]
            assert (faces.age[row], faces.gender[row], faces.race[row]) == (
                label["age"],
                label["gender"],
                label["race"],
            )
            lower = {name: label[name].lower() for name in ("race", "gender")}
            assert faces.caption[row] == FAIRUSER.format(age=label["age"], **lower)
            right_eye, left_eye, nose = faces.landmarks[row, :3]
            detected += bool(right_eye[0] < left_eye[0] and right_eye[1] < nose[1] + 20)
    assert detected > 150


def test_what_was_left_out_is_listed(published: Published) -> None:
    described = json.loads((published.out / "data_set.json").read_text())
    assert described["missing"] == ["./train/7.jpg"]
    assert [entry["file"] for entry in described["unreadable"]] == ["fairface/train/8.jpg", "fairface\\train\\9.jpg"]
    assert all(entry["reason"] for entry in described["unreadable"])
    assert described["duplicates"] == {"dropped": 3, "across_splits": 3, "relabelled": 0}
    for message in ("3 pictures came more than once", "1 pictures are missing: ./train/7.jpg", "2 pictures cannot be"):
        assert message in published.warnings
    assert sum(split["rows"] for split in described["splits"].values()) == 157
    digests = [source["sha256"] for source in described["sources"]]
    assert hashlib.sha256((published.root / "fairface_label_train.csv").read_bytes()).hexdigest() in digests


def test_the_card_says_all_of_it(published: Published) -> None:
    card = (published.out / "DATA_CARD.md").read_text()
    command = f"rapport-train data fairuser --faces {published.root} --splits own --held-out 0.2 --out {published.out}"
    for words in ("| test | 40 |", "CC BY 4.0", "Kärkkäinen", "./train/7.jpg", "Duplicates: 3;", "distribution.png"):
        assert words in card
    assert command.removeprefix("rapport-train data ") in card
    assert all(f"| {age} |" in card for age in AGE_BINS[:6])
    assert (published.out / "distribution.png").read_bytes().startswith(b"\x89PNG")


def test_settings_are_checked_before_anything_is_written(published: Published, tmp_path: Path) -> None:
    labels = published.root / "fairface_label_val.csv"
    again = run("--faces", labels, "--out", published.out)
    assert isinstance(again.exception, SettingsError)
    assert "--overwrite replaces it" in str(again.exception)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(SettingsError, match="is there and is not a data set"):
        build_fairuser(FairUserSettings([labels]), tmp_path, command="", processes=1, overwrite=True)
    with pytest.raises(SettingsError, match="--held-out"):
        settings = FairUserSettings([labels], [labels], splits="0.8,0.1,0.1")
        build_fairuser(settings, tmp_path / "out", command="", processes=1)
    with pytest.raises(SettingsError, match=r"own splits need .* got fairface_label_val\.csv"):
        build_fairuser(FairUserSettings([labels], splits="own"), tmp_path / "out", command="", processes=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt"]


def test_an_empty_split_is_refused_and_leaves_nothing(published: Published, tmp_path: Path) -> None:
    labels = published.root / "fairface_label_val.csv"
    with pytest.raises(DataSetError, match=r"the split (val|val, test|train|test).* is empty; there are 2 usable"):
        build_fairuser(FairUserSettings([labels], limit=2), tmp_path / "out", command="", processes=1)
    assert not list(tmp_path.iterdir())


def test_what_somebody_puts_there_meanwhile_stays(few_faces: Path, tmp_path: Path, monkeypatch) -> None:
    out = tmp_path / "out"
    write_card = builder.write_card

    def slow_card(*arguments: Any) -> None:
        out.mkdir()
        (out / "letter.txt").write_text("dear")
        write_card(*arguments)

    monkeypatch.setattr(builder, "write_card", slow_card)
    with pytest.raises(SettingsError, match="is not a data set"):
        build_fairuser(FairUserSettings([few_faces]), out, command="", processes=1)
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "letter.txt"]


def test_an_interrupted_run_keeps_what_was_there(published: Published) -> None:
    before = UserFaces.open(published.out, "val").digest

    def rows() -> Iterator[SourceRow]:
        raise KeyboardInterrupt
        yield

    with pytest.raises(KeyboardInterrupt):
        build(About("FairUser", "", "", "", "", []), rows(), published.out, processes=1, overwrite=True)
    assert UserFaces.open(published.out, "val").digest == before
    assert not list(published.out.parent.glob(".*"))


def test_a_full_disk_is_said_and_leaves_nothing(few_faces: Path, tmp_path: Path) -> None:
    allowed = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, allowed[1]))  # what a full disk does: writing fails
    try:
        with pytest.raises(DataSetError, match=r"cannot write the data set .*out"):
            build_fairuser(FairUserSettings([few_faces]), tmp_path / "out", command="", processes=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, allowed)
    assert not list(tmp_path.iterdir())


def test_a_parquet_source_and_a_folder_of_the_same_faces_agree(published: Published, fair_user: Path) -> None:
    """Other splits and other labels' spelling, the same rows."""
    rows = {}
    for folder in (published.out, fair_user):
        for split in SPLITS:
            faces = UserFaces.open(folder, split)
            for content, caption, points in zip(faces.content, faces.caption, faces.landmarks, strict=True):
                rows.setdefault(content, []).append((caption, points.tobytes()))
    seen_twice = [found for found in rows.values() if len(found) == 2]
    assert len(seen_twice) == 157
    assert all(first == second for first, second in seen_twice)


def test_sources_are_recognised_by_their_names(tmp_path: Path) -> None:
    names = ["val.parquet", "validation-00000-of-00001.parquet", "fairface_label_val.csv"]
    assert all(is_validation(Path(name)) for name in names)
    assert not any(is_validation(Path(name)) for name in ("train-0.parquet", "valley.csv", "interval.parquet"))
    with pytest.raises(DataSetError, match="holds neither label files"):
        label_files(tmp_path)
    with pytest.raises(DataSetError, match="there is no file or folder"):
        label_files(tmp_path / "nothing")


def test_damage_and_prefixes_are_really_in_the_test(published: Published) -> None:
    text = (published.root / "fairface_label_train.csv").read_text(encoding="utf-8-sig")
    assert all(f",{damaged}," in text for damaged in DAMAGE.values())
    assert "fairface\\train\\" in text
    assert {parse_age(damaged) for damaged in DAMAGE.values()} == set(DAMAGE)


def test_a_set_of_some_groups_tested_on_others(few_faces: Path, tmp_path: Path) -> None:
    settings = FairUserSettings(
        [few_faces], [few_faces], held_out=0.3, races=("White", "Black", "Indian"), test_races=("East Asian",)
    )
    build_fairuser(settings, tmp_path / "shift", command="made by a test", processes=1)
    races = {split: set(UserFaces.open(tmp_path / "shift", split).race) for split in ("train", "val", "test")}
    assert races["train"] | races["val"] == {"White", "Black", "Indian"}
    assert races["test"] == {"East Asian"}
    with pytest.raises(SettingsError, match="Martian"):
        build_fairuser(FairUserSettings([few_faces], races=("Martian",)), tmp_path / "no", command="", processes=1)
