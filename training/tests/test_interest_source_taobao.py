"""Taobao's behaviours, read by function and by command; a broken line is named."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from source_logs import events_of, items_of, log_of

from rapport_training.interest.commands import interest
from rapport_training.interest.data.errors import LogError
from rapport_training.interest.data.sources.taobao import taobao

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
