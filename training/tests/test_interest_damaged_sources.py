"""Damaged archives and text of another encoding are said to be."""

from __future__ import annotations

import gzip
import io
import json
import zipfile

import numpy as np
import pytest
from source_logs import items_of, log_of, movielens_1m, refusal

from rapport_training.interest.data.log_writer import write_log
from rapport_training.interest.data.sources.amazon import amazon
from rapport_training.interest.data.sources.movielens import movielens
from rapport_training.interest.data.sources.s3rec import s3rec
from rapport_training.interest.data.sources.yelp import yelp


def damaged(content: bytes, at: int) -> bytes:
    return content[:at] + bytes(255 - byte for byte in content[at : at + 40]) + content[at + 40 :]


def zipped(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return file.getvalue()


STARS = "user_id,business_id,stars,date\n" + "".join(f"u{t},b{t % 7},5,2012-01-03\n" for t in range(5000))


@pytest.mark.parametrize("at", [60, 100, 5000])
def test_damaged_archives_are_said_to_be(tmp_path, at):
    reviews = "".join(json.dumps({"reviewerID": str(t), "asin": "a", "overall": 5, "unixReviewTime": t}) + "\n"
                      for t in range(5000))  # fmt: skip
    (tmp_path / "reviews.json.gz").write_bytes(damaged(gzip.compress(reviews.encode()), at))
    assert "reviews.json.gz" in refusal(amazon(tmp_path / "reviews.json.gz"), tmp_path)
    (tmp_path / "reviews.csv.zip").write_bytes(damaged(zipped("r.csv", STARS.encode()), at))
    assert "reviews.csv.zip" in refusal(yelp(tmp_path / "reviews.csv.zip"), tmp_path)
    movielens_1m(tmp_path, "7::1::5::100\n7::2::5::101\n")
    picture = np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)
    posters = zipped("1.bmp", picture.tobytes()).replace(b"1.bmp", b"1.jpg")
    (tmp_path / "posters.zip").write_bytes(damaged(posters, at))
    assert "posters.zip" in refusal(movielens(tmp_path, tmp_path / "posters.zip"), tmp_path)


def test_text_that_is_no_utf_8_is_refused_and_a_byte_order_mark_is_not_part_of_an_id(tmp_path):
    (tmp_path / "reviews.json").write_bytes(b'{"reviewerID":"\xff","asin":"a","overall":5,"unixReviewTime":1}\n')
    assert "line 1" in refusal(amazon(tmp_path / "reviews.json"), tmp_path)
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,1,5,1\n")
    (tmp_path / "movies.csv").write_bytes(b"movieId,title,genres\n1,Am\xe9lie,Drama\n")
    assert "movies.csv" in refusal(movielens(tmp_path), tmp_path)
    (tmp_path / "movies.csv").write_text("movieId,title,genres\n1,Amélie,Drama\n", encoding="utf-8-sig")
    assert items_of(log_of(movielens(tmp_path), tmp_path))["1"]["title"] == "Amélie"
    (tmp_path / "Beauty.txt").write_text("1 2 3\n", encoding="utf-8-sig")
    assert write_log(*s3rec(tmp_path / "Beauty.txt"), tmp_path / "s3").users()["id"].to_pylist() == ["1"]
