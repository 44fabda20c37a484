"""MovieLens in its three formats, with posters; a broken line is named."""

from __future__ import annotations

import zipfile

import cv2
import numpy as np
import pytest
from source_logs import events_of, items_of, log_of, movielens_1m, refusal

from rapport_training.interest.data.errors import LogError
from rapport_training.interest.data.log_writer import write_log
from rapport_training.interest.data.sources.movielens import movielens


def test_movielens_100k_with_posters(shared_data, tmp_path):
    log = log_of(movielens(shared_data / "restricted" / "movielens100k"), tmp_path)
    assert (log.item_count, log.user_count, log.event_count) == (1682, 943, 100_000)
    items = items_of(log)
    assert sum(row["image"] is not None for row in items.values()) == 1510
    assert items["1"]["title"] == "Toy Story (1995)"
    assert dict(items["1"]["attributes"]) == {"genre": ["Animation", "Children's", "Comedy"], "decade": ["1990s"]}
    assert log.record.label_scale == 5
    assert events_of(log, "user", "item", "time", "label")[0] == ("259", "255", 874_724_710, pytest.approx(0.8))
    assert dict(log.users().to_pylist()[0]["attributes"])["age"] == ["20-29"]


def test_movielens_1m(tmp_path):
    log = log_of(movielens(movielens_1m(tmp_path, "7::2::3::200\n7::1::5::100\n7::1::5::100\n")), tmp_path)
    assert events_of(log, "user", "item", "time") == [("7", "1", 100), ("7", "2", 200)]
    assert items_of(log)["1"]["title"] == "Amélie (2001)"
    assert dict(log.users().to_pylist()[0]["attributes"]) == {"age": ["25-34"], "gender": ["F"], "occupation": ["3"]}


def test_movielens_csv_with_quotes_and_half_stars(tmp_path):
    (tmp_path / "movies.csv").write_text(
        'movieId,title,genres\n5,"Kid, The (1921)",Comedy|Drama\n6,X,(no genres listed)\n'
    )
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,5,3.5,10\n1,6,0.5,11\n")
    log = log_of(movielens(tmp_path), tmp_path)
    assert events_of(log, "label") == [(pytest.approx(0.7),), (pytest.approx(0.1),)]
    items = items_of(log)
    assert items["5"]["title"] == "Kid, The (1921)"
    assert (items["5"]["category"], items["6"]["category"]) == ("Comedy", "")


@pytest.mark.parametrize(
    ("ratings", "message"),
    [
        ("7::2::3::200\n7::1::x::100\n", r"ratings\.dat.*Row #2.*'x'"),
        ("7::2::3::200\n7::1\n", r"ratings\.dat.*Expected 7 columns, got 3"),
        ("7::2::9::200\n", "a rating is not between 0 and 5"),
        ("7::2::3::200\n7::1::::100\n", "event 2 of the source has the label nan"),
    ],
)
def test_a_broken_rating_is_named(tmp_path, ratings, message):
    with pytest.raises(LogError, match=message):
        log_of(movielens(movielens_1m(tmp_path, ratings)), tmp_path)


def test_a_folder_without_movielens_and_a_short_line_are_named(tmp_path):
    with pytest.raises(LogError, match=r"lacks u\.data or ratings\.dat or ratings\.csv"):
        movielens(tmp_path)
    movielens_1m(tmp_path, "7::2::3::200\n")
    (tmp_path / "movies.dat").write_text("1::A::B\n2::short\n")
    assert "movies.dat, line 2: 2 values, expected 3 parted by '::': id, title, genres" in refusal(
        movielens(tmp_path), tmp_path
    )


def test_pictures_in_a_folder_or_a_zip_file(tmp_path):
    movielens_1m(tmp_path, "7::1::5::100\n7::2::5::101\n")
    picture = cv2.imencode(".png", np.full((6, 6, 3), 9, np.uint8))[1].tobytes()
    (tmp_path / "posters").mkdir()
    (tmp_path / "posters" / "2.png").write_bytes(picture)
    with zipfile.ZipFile(tmp_path / "posters.zip", "w") as archive:
        archive.writestr("some/folder/2.png", picture)
        archive.writestr("1.jpg", b"no picture")
    with zipfile.ZipFile(tmp_path / "ml-100k.zip", "w") as archive:  # the data set's own, which has no pictures
        archive.writestr("ml-100k/u.data", "")
    for place, broken in [(tmp_path / "posters", 0), (tmp_path / "posters.zip", 1), (None, 1)]:
        log = write_log(*movielens(tmp_path, place), tmp_path / "log", overwrite=True)
        assert {one: row["image"] for one, row in items_of(log).items()} == {"1": None, "2": picture}
        assert log.record.notes.get("broken pictures left out", 0) == broken
    with pytest.raises(LogError, match="neither a folder nor a zip file"):
        movielens(tmp_path, tmp_path / "users.dat")
