"""`rapport-edge rank` as an operator types it."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from tiny_ranker import write_ranker

from rapport_edge.cli import main


@pytest.fixture
def folder(tmp_path):
    return write_ranker(tmp_path / "ranker").path


def run(*arguments):
    return CliRunner().invoke(main, ["rank", *map(str, arguments)])


def test_prints_rank_score_id_title_and_reason(folder):
    result = run("--bundle", folder, "--history", "stars, planets", "--limit", 3)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert [line.split()[0] for line in lines] == ["1", "2", "3"]
    assert lines[0].split()[2:] == ["planets", "Planets", "(chosen", "before)"]
    assert lines[2].endswith("new  A new comet  (resembles Stars (0.99); not in the training)")


def test_reads_files_and_prints_json(folder, tmp_path):
    history, candidates, user = tmp_path / "h.json", tmp_path / "c.json", tmp_path / "u.json"
    history.write_text(json.dumps([{"id": "soup", "time": 2}, {"id": "soup", "time": 2}, {"id": "bread", "time": 1}]))
    candidates.write_text(json.dumps(["stars", {"id": "stew", "title": "Stew", "content": [0, 1, 0, 0]}]))
    user.write_text(json.dumps({"group": ["club"]}))
    options = ("--history", history, "--candidates", candidates, "--user", user, "--json")
    result = run("--bundle", folder, *options)
    assert result.exit_code == 0, result.output
    ranked = json.loads(result.output)
    assert [(item["rank"], item["id"], item["known"]) for item in ranked] == [(1, "stew", False), (2, "stars", True)]
    assert ranked[0]["reason"] == "resembles Soup (1.00)"
    assert 0.0 < ranked[1]["score"] < ranked[0]["score"] < 1.0


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--history", "nowhere.json"), "there is no file nowhere.json"),
        (("--user", "nowhere.json"), "cannot read nowhere.json"),
        (("--candidates", "{file}"), "is not what it should be"),
        (("--user", "{person}"), "has the field 'gruop'; this ranker knows group"),
        (("--history", "{misspelt}"), "item 'a' has the field 'categories'; this ranker knows category"),
    ],
)
def test_bad_input_ends_with_status_2_and_a_sentence(folder, tmp_path, options, reason):
    (tmp_path / "bad.json").write_text('[{"id": "a", "colour": "red"}]')
    (tmp_path / "person.json").write_text('{"gruop": ["club"]}')
    (tmp_path / "misspelt.json").write_text('[{"id": "a", "fields": {"categories": ["food"]}}]')
    names = {"file": "bad", "person": "person", "misspelt": "misspelt"}
    files = {name: tmp_path / f"{file}.json" for name, file in names.items()}
    given = [part.format(**files) for part in options]
    result = run("--bundle", folder, *given)
    assert result.exit_code == 2, result.output
    assert result.output.startswith("Error: ")
    assert reason in result.output


def test_says_which_items_of_the_history_nobody_knows(folder, tmp_path):
    described = tmp_path / "h.json"
    described.write_text(
        json.dumps([{"id": "stew", "content": [0, 1, 0, 0]}, {"id": "pie", "fields": {"category": ["food"]}}])
    )
    assert run("--bundle", folder, "--history", described).stderr == ""
    result = run("--bundle", folder, "--history", "stars,history.jsn", "--limit", 1)
    assert result.exit_code == 0, result.output
    assert result.stderr == "1 of 2 items of the history are known to no table, such as 'history.jsn'\n"


def test_a_bundle_that_is_none_ends_with_status_2(tmp_path):
    result = run("--bundle", tmp_path / "nowhere", "--history", "a")
    assert result.exit_code == 2
    assert "there is no such folder" in result.output


def test_inspect_verifies_a_ranker(folder):
    result = CliRunner().invoke(main, ["inspect", "--bundle", str(folder)])
    assert result.exit_code == 0, result.output
    for expected in (
        "tiny-ranker 0.0.1, interest-ranker",
        "ranks     5 items of its catalogue, histories of at most 3 events",
        "content   4 embeddings of 4 numbers by the encoder " + "e" * 64,
        "protocol  none: known weights",
        "verified: checksums, graph, golden inputs",
    ):
        assert expected in result.output
