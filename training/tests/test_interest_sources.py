"""Public data sets become logs; what is wrong with a file is said with its line."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner

from rapport_training.interest.commands import interest
from rapport_training.interest.data.errors import LogError
from rapport_training.interest.data.log import BehaviourLog
from rapport_training.interest.data.log_writer import write_log
from rapport_training.interest.data.sources.amazon import amazon
from rapport_training.interest.data.sources.fuxictr import fuxictr
from rapport_training.interest.data.sources.movielens import movielens
from rapport_training.interest.data.sources.s3rec import s3rec
from rapport_training.interest.data.sources.taobao import taobao
from rapport_training.interest.data.sources.yelp import yelp


def events_of(log: BehaviourLog, *columns: str) -> list[tuple]:
    table = pa.Table.from_batches(list(log.event_batches(columns)))
    return [tuple(row.values()) for row in table.to_pylist()]


def items_of(log: BehaviourLog) -> dict[str, dict]:
    return {row["id"]: row for row in log.items().to_pylist()}


def log_of(source, folder: Path) -> BehaviourLog:
    return write_log(*source, folder / "log")


def refusal(source, folder: Path) -> str:
    with pytest.raises(LogError) as caught:
        write_log(*source, folder / "log")
    assert not (folder / "log").exists()
    return str(caught.value)


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


def movielens_1m(folder: Path, ratings: str) -> Path:
    (folder / "movies.dat").write_bytes("1::Amélie (2001)::Comedy|Romance\n2::Nothing::Drama\n".encode("latin-1"))
    (folder / "users.dat").write_text("7::F::25::3::12345\n")
    (folder / "ratings.dat").write_text(ratings)
    return folder


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


TAOBAO = "u1,i1,c1,pv,1511700000\nu1,i2,c2,buy,1511600000\nu1,i1,c1,pv,1511700000\nu2,i1,c1,fav,1400000000\n"


def test_taobao(tmp_path):
    (tmp_path / "UserBehavior.csv").write_text(TAOBAO)
    log = log_of(taobao(tmp_path / "UserBehavior.csv"), tmp_path)
    assert events_of(log, "user", "item", "kind") == [("u1", "i2", "purchase"), ("u1", "i1", "click")]
    assert items_of(log)["i2"]["category"] == "c2"
    assert log.record.dropped == {
        "events outside of the nine days": 1,
        "duplicates of the same user, item, time and kind": 1,
    }


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("u1,i1,c1,look,1511700000\n", r"line 5: the behaviour is none of pv, cart, fav, buy"),
        ("u1,i1,c1,pv,soon\n", r"UserBehavior\.csv.*Row #5.*'soon'"),
        ("u1,i1,c1,pv\n", r"UserBehavior\.csv.*Expected 5 columns, got 4"),
    ],
)
def test_taobao_names_the_line_that_is_wrong(tmp_path, line, message):
    (tmp_path / "UserBehavior.csv").write_text(TAOBAO + line)
    with pytest.raises(LogError, match=message):
        log_of(taobao(tmp_path / "UserBehavior.csv"), tmp_path)


OLD = [
    {"reviewerID": "A", "asin": "X", "overall": 5.0, "unixReviewTime": 1_400_000_000, "reviewText": "good"},
    {"reviewerID": "A", "asin": "Y", "overall": 2.0, "unixReviewTime": 1_300_000_000},
]
NEW = [{"user_id": "A", "asin": "X1", "parent_asin": "X", "rating": 4.0, "timestamp": 1_600_000_000_123}]


def write_lines(path: Path, objects: list[dict]) -> Path:
    text = "".join(json.dumps(one) + "\n" for one in objects).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def test_amazon_of_2018_with_metadata(tmp_path):
    reviews = write_lines(tmp_path / "Games_5.json.gz", OLD)
    products = [
        {"asin": "X", "title": "A &amp; B", "category": ["Games", "Chess"], "brand": "Q&amp;A"},
        {"asin": "unmet", "title": "C"},
        {"asin": "Y", "title": "var getTime = 1"},
    ]
    log = log_of(amazon(reviews, write_lines(tmp_path / "meta.json.gz", products)), tmp_path)
    assert events_of(log, "item", "time", "label") == [
        ("Y", 1_300_000_000, pytest.approx(0.4)),
        ("X", 1_400_000_000, pytest.approx(1.0)),
    ]
    items = items_of(log)
    assert set(items) == {"X", "Y"}
    assert (items["X"]["title"], items["X"]["category"], items["Y"]["title"]) == ("A & B", "Chess", "")
    assert dict(items["X"]["attributes"]) == {"category path": ["Games", "Chess"], "maker": ["Q&A"]}


def test_amazon_of_2023_as_json_lines_and_as_csv(tmp_path):
    log = log_of(amazon(write_lines(tmp_path / "Games.jsonl", NEW)), tmp_path)
    assert events_of(log, "user", "item", "time") == [("A", "X", 1_600_000_000)]
    (tmp_path / "Games.csv").write_text("user_id,parent_asin,rating,timestamp\nA,X,4.0,1600000000123\n")
    (tmp_path / "2").mkdir()
    assert log_of(amazon(tmp_path / "Games.csv"), tmp_path / "2").digest == log.digest


def test_amazon_names_the_line_that_is_wrong(tmp_path):
    path = tmp_path / "Games.json"
    assert "line 2: expected reviewerID" in refusal(amazon(write_lines(path, [*NEW, {"asin": "X"}])), tmp_path)
    path.write_text(json.dumps(NEW[0]) + "\n{'asin': 1}\n")
    assert "Games.json, line 2: JSON is malformed" in refusal(amazon(path), tmp_path)
    assert "between 0 and 5" in refusal(amazon(write_lines(path, [OLD[0] | {"overall": 50}])), tmp_path)
    other = write_lines(tmp_path / "meta.json", [{"asin": "unmet"}])
    assert "no product of the reviews is in it" in refusal(amazon(write_lines(path, NEW), other), tmp_path)
    (tmp_path / "cut.json.gz").write_bytes(gzip.compress(b"{}\n" * 9999)[:40])
    assert "cannot read" in refusal(amazon(tmp_path / "cut.json.gz"), tmp_path)


def test_yelp_of_the_shared_data(shared_data, tmp_path):
    folder = shared_data / "restricted" / "yelp"
    log = log_of(
        yelp(folder / "yelp_academic_dataset_review.json", folder / "yelp_academic_dataset_business.json"), tmp_path
    )
    assert (log.event_count, log.record.dropped) == (999, {})
    assert any(row["category"] and row["title"] for row in items_of(log).values())
    (tmp_path / "2").mkdir()
    table = log_of(yelp(folder / "yelp_10k.csv.zip"), tmp_path / "2")
    assert (table.event_count, table.user_count) == (10_000, 6403)
    assert all(time % 86_400 == 0 for (time,) in events_of(table, "time"))


def test_yelp_names_the_line_that_is_wrong(tmp_path):
    review = {"user_id": "u", "business_id": "b", "stars": 4.0, "date": "2012-01-03 15:28:18"}
    path = tmp_path / "review.json"
    assert events_of(log_of(yelp(write_lines(path, [review])), tmp_path), "time") == [(1_325_604_498,)]
    (tmp_path / "2").mkdir()
    bad = write_lines(path, [review, review | {"date": "yesterday"}])
    assert "review.json, line 2: the date is 'yesterday'" in refusal(yelp(bad), tmp_path / "2")
    del review["stars"]
    assert "line 1: Object missing required field `stars`" in refusal(yelp(write_lines(path, [review])), tmp_path / "2")


def test_s3rec_keeps_the_order_and_repeated_items(shared_data, tmp_path):
    log = log_of(s3rec(shared_data / "restricted" / "s3rec" / "Beauty.txt"), tmp_path)
    assert (log.event_count, log.user_count) == (198_502, 22_363)
    (tmp_path / "small.txt").write_text("u a b a\nv b\n")
    (tmp_path / "attributes.json").write_text('{"a": [3, 4], "unmet": [5]}')
    (tmp_path / "2").mkdir()
    small = log_of(s3rec(tmp_path / "small.txt", tmp_path / "attributes.json"), tmp_path / "2")
    rows = events_of(small, "user", "order", "item", "time")
    assert sorted(rows) == [("u", 1, "a", None), ("u", 2, "b", None), ("u", 3, "a", None), ("v", 1, "b", None)]
    assert dict(items_of(small)["a"]["attributes"]) == {"attribute": ["3", "4"]}
    assert not small.record.timed


@pytest.mark.parametrize(
    ("text", "message"),
    [("u a\nv\n", "line 2: expected a user and at least one item"), ("u a\nu b\n", "line 2: user u had a line before")],
)
def test_s3rec_names_the_line_that_is_wrong(tmp_path, text, message):
    (tmp_path / "bad.txt").write_text(text)
    assert message in refusal(s3rec(tmp_path / "bad.txt"), tmp_path)


FUXICTR = "label,user_id,item_id,cate_id,item_history,cate_history,ts\n1,u,a,c,b^b,d^d,20\n0,u,b,d,,,10\n"


def test_fuxictr_rows_as_events(tmp_path):
    (tmp_path / "train.csv").write_text(FUXICTR)
    log = log_of(fuxictr([tmp_path / "train.csv"]), tmp_path)
    assert events_of(log, "item", "order", "label") == [("a", 0, 1.0), ("b", 1, 0.0)]
    (tmp_path / "2").mkdir()
    timed = log_of(fuxictr([tmp_path / "train.csv"], time="ts"), tmp_path / "2")
    assert events_of(timed, "item", "time") == [("b", 10), ("a", 20)]
    assert items_of(timed)["a"]["category"] == "c"


def test_the_commands_say_what_came_in_and_what_was_dropped(tmp_path):
    (tmp_path / "UserBehavior.csv").write_text(
        TAOBAO + "".join(f"u{n},i{n},c,pv,{1511700000 + n}\n" for n in range(30))
    )
    run = CliRunner().invoke
    made = run(interest, ["data", "taobao", str(tmp_path / "UserBehavior.csv"), "--out", str(tmp_path / "log")])
    assert made.exit_code == 0, made.output
    assert "30 items, 30 users, 32 events" in made.output
    assert "events outside of the nine days: 1" in made.output
    options = ["--log", str(tmp_path / "log"), "--negatives", "1", "--out", str(tmp_path / "out")]
    prepared = run(interest, ["prepare", *options])
    assert prepared.exit_code == 0, prepared.output
    assert "time 80/10/10, 1 sampled negatives per positive (uniform, seed 0)" in prepared.output
    again = run(interest, ["prepare", *options])
    assert "--overwrite replaces it" in str(again.exception)
    assert run(interest, ["prepare", *options, "--overwrite"]).exit_code == 0
    wrong = run(interest, ["prepare", *options, "--overwrite", "--shares", "a,b"])
    assert "expected three numbers" in str(wrong.exception)


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


def test_milliseconds_are_not_taken_for_seconds(tmp_path):
    (tmp_path / "rows.csv").write_text("label,user_id,item_id,cate_id,ts\n1,u,a,c,1500000000000\n")
    assert "milliseconds" in refusal(fuxictr([tmp_path / "rows.csv"], time="ts"), tmp_path)


def peak_of(count: int, folder: Path) -> int:
    """Bytes held at most while so many items with pictures become a log."""
    picture = cv2.imencode(".png", np.random.default_rng(0).integers(0, 255, (48, 48, 3), np.uint8))[1].tobytes()
    with zipfile.ZipFile(folder / "pictures.zip", "w") as archive:
        for item in range(count):
            archive.writestr(f"a{item}.png", picture)
    review = '{"reviewerID":"u","asin":"a%d","overall":5,"unixReviewTime":%d}\n'
    (folder / "reviews.json").write_text("".join(review % (item, item) for item in range(count)))
    (folder / "meta.json").write_text("".join(f'{{"asin":"a{item}"}}\n' for item in range(count)))
    source = amazon(folder / "reviews.json", folder / "meta.json", folder / "pictures.zip")
    tracemalloc.start()
    log = write_log(*source, folder / "log", overwrite=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert log.item_count == count
    return peak


def test_pictures_of_a_large_catalogue_are_not_in_memory_together(tmp_path):
    peak_of(10, tmp_path)  # what is imported on the way
    assert peak_of(4000, tmp_path) < 2.5 * peak_of(1000, tmp_path)
