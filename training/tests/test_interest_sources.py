"""Yelp, S3-Rec and FuxiCTR become logs; what is wrong with a file is said with its line."""

from __future__ import annotations

import pytest
from source_logs import events_of, items_of, log_of, refusal, write_lines

from rapport_training.interest.data.sources.fuxictr import fuxictr
from rapport_training.interest.data.sources.s3rec import s3rec
from rapport_training.interest.data.sources.yelp import yelp


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


def test_milliseconds_are_not_taken_for_seconds(tmp_path):
    (tmp_path / "rows.csv").write_text("label,user_id,item_id,cate_id,ts\n1,u,a,c,1500000000000\n")
    assert "milliseconds" in refusal(fuxictr([tmp_path / "rows.csv"], time="ts"), tmp_path)
