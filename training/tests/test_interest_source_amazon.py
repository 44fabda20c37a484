"""Amazon's reviews of 2018 and 2023, with products and pictures; a broken line is named."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from source_logs import events_of, items_of, log_of, refusal, write_lines

from rapport_training.interest.data.log_writer import write_log
from rapport_training.interest.data.sources.amazon import amazon

OLD = [
    {"reviewerID": "A", "asin": "X", "overall": 5.0, "unixReviewTime": 1_400_000_000, "reviewText": "good"},
    {"reviewerID": "A", "asin": "Y", "overall": 2.0, "unixReviewTime": 1_300_000_000},
]
NEW = [{"user_id": "A", "asin": "X1", "parent_asin": "X", "rating": 4.0, "timestamp": 1_600_000_000_123}]


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
