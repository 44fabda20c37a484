"""GenUser from faces and a captioner to a data set that can be read."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import BinaryIO

import pytest
from chat_server import ChatServer, completion, picture
from click.testing import CliRunner

from rapport_edge.errors import RapportError
from rapport_training.cli import main
from rapport_training.data.captioners.ledger import Ledger
from rapport_training.data.genuser_command import genuser
from rapport_training.data.user_faces import UserFaces


def folder_of_faces(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        (folder / f"{number}.jpg").write_bytes(picture(number))
        meta = {"gender": [("male", "female")[number % 2]], "age": ["adult"], "ethnicity": ["black"]}
        (folder / f"{number}.json").write_text(json.dumps({"id": str(number), "meta": meta}))
    return folder


def command(chat_server: ChatServer, folder: Path, out: Path, *more: str) -> list[str]:
    asked = ["--captioner", "endpoint", "--model", "m", "--base-url", chat_server.url, "--concurrency", "3"]
    return ["--folder", str(folder), "--out", str(out), "--splits", "0.6,0.2,0.2", "--processes", "1", *asked, *more]


def wait_for(stream: BinaryIO, words: bytes) -> None:
    """Reads until a line has these words."""
    assert any(words in line for line in stream), f"it ended without saying {words!r}"


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_was_stopped_goes_on_and_asks_nothing_twice(
    chat_server: ChatServer, tmp_path: Path, stop: int
) -> None:
    folder, ledger = folder_of_faces(tmp_path / "faces", 24), tmp_path / "genuser.jsonl"
    chat_server.answers_before_the_gate = 8
    arguments = command(chat_server, folder, tmp_path / "genuser")
    code = f"from rapport_training.data.genuser_command import genuser; genuser({arguments!r})"
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, env=os.environ)
    while not ledger.exists() or ledger.read_bytes().count(b"\n") < 8 or chat_server.pictures.total() < 8 + 3:
        assert process.poll() is None, process.stderr.read().decode()
        time.sleep(0.01)
    process.send_signal(stop)
    if stop == signal.SIGINT:
        wait_for(process.stderr, b"waiting for 3 answers")
    chat_server.gate.set()
    process.communicate(timeout=100)
    assert process.returncode != 0
    kept = [json.loads(line)["content"] for line in ledger.read_bytes().splitlines(keepends=True) if line[-1:] == b"\n"]
    assert len(kept) == (8 if stop == signal.SIGKILL else 8 + 3)

    result = CliRunner().invoke(genuser, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert all(chat_server.pictures[content] == 1 for content in kept)
    assert chat_server.pictures.total() <= 24 + 3  # what was on its way when the process was killed
    if stop == signal.SIGINT:  # Ctrl-C waits for what is paid for
        assert chat_server.pictures.total() == 24
    splits = [UserFaces.open(tmp_path / "genuser", name) for name in ("train", "val", "test")]
    assert [len(split) for split in splits] == [14, 5, 5]
    written = {content: text for split in splits for content, text in zip(split.content, split.caption, strict=True)}
    assert written == {content: f"A person known as {content[:8]}." for content in chat_server.pictures}


def test_refusals_and_costs_are_in_the_description_and_the_card(chat_server: ChatServer, tmp_path: Path) -> None:
    folder, out = folder_of_faces(tmp_path / "faces", 12), tmp_path / "genuser"
    chat_server.script = [lambda: completion(None, refusal="not this one")]
    more = ("--price-in", "2", "--price-out", "8", "--budget", "1", "--concurrency", "1")
    result = CliRunner().invoke(genuser, command(chat_server, folder, out, *more), catch_exceptions=False)
    assert result.exit_code == 0
    about = json.loads((out / "data_set.json").read_text())["settings"]
    assert about["profiles"] | {"cost": 0} == {
        **{"written": 11, "refused": 1, "unanswered": 0, "too_long": 0, "cut": 0, "cost": 0},
        **{"input_tokens": 12_000, "output_tokens": 600},
    }
    assert about["profiles"]["cost"] == pytest.approx(12 * (1000 * 2 + 50 * 8) / 1e6)
    assert about["without_profile"][0]["reason"] == "refused: not this one"
    assert "not this one" in (out / "DATA_CARD.md").read_text()
    with Ledger(tmp_path / "genuser.jsonl", about["captioner"]) as ledger:
        assert len(ledger.answers) == 12


def test_a_spent_budget_leaves_no_data_set_but_all_answers(chat_server: ChatServer, tmp_path: Path) -> None:
    folder, out = folder_of_faces(tmp_path / "faces", 12), tmp_path / "genuser"
    arguments = command(chat_server, folder, out, "--price-in", "1000", "--budget", "4.5")
    result = CliRunner().invoke(genuser, arguments)
    assert isinstance(result.exception, RapportError)
    assert "larger budget" in str(result.exception)
    assert not out.exists()
    assert (tmp_path / "genuser.jsonl").read_bytes().count(b"\n") == 4
    assert chat_server.pictures.total() == 4


def test_files_that_cannot_be_used_are_named(chat_server: ChatServer, tmp_path: Path) -> None:
    folder, out = folder_of_faces(tmp_path / "faces", 10), tmp_path / "genuser"
    (folder / "metadata").mkdir()
    (folder / "9.json").rename(folder / "metadata" / "9.json")  # another folder is as good
    (folder / "broken.jpg").write_bytes(picture(20)[:300])
    (folder / "broken.json").write_text('{"age": ["adult"]}')
    (folder / "bare.png").write_bytes(picture(21))
    (folder / "alone.json").write_text('{"age": ["adult"]}')
    (folder / "again.jpg").write_bytes(picture(3))
    (folder / "again.json").write_text('{"age": ["child"]}')
    for name, text in (("half", '{"age": ["ad'), ("list", "[1]"), ("old", '{"age": 900}')):
        (folder / f"{name}.jpg").write_bytes(picture(30 + len(name)))
        (folder / f"{name}.json").write_text(text)
    result = CliRunner().invoke(genuser, command(chat_server, folder, out), catch_exceptions=False)
    assert result.exit_code == 0
    without = json.loads((out / "data_set.json").read_text())["settings"]["without_profile"]
    reasons = {entry["file"]: entry["reason"] for entry in without}
    assert reasons.keys() == {
        *("broken.jpg", "bare.png", "alone.json", "again.jpg", "half.json", "list.json", "old.jpg"),
    }
    assert reasons["again.jpg"] == "the same picture as 3.jpg"
    assert "not JSON" in reasons["half.json"]
    assert chat_server.pictures.total() == 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--captioner", "template"], "either --folder or --faces"),
        (["--captioner", "template", "--folder", "nowhere"], "there is no folder nowhere"),
        (["--captioner", "endpoint", "--folder", "nowhere"], "needs --model"),
        (["--captioner", "template", "--folder", ".", "--budget", "3"], "counts nothing without"),
        (["--captioner", "template", "--folder", "."], "no usable face"),
    ],
)
def test_bad_usage_is_one_line_and_status_2(tmp_path: Path, monkeypatch, arguments: list[str], message: str) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["data", "genuser", "--out", "out", *arguments])
    assert result.exit_code == 2
    assert message in result.output


def test_fixed_sentences_on_real_faces(few_faces: Path, tmp_path: Path) -> None:
    arguments = ["--faces", str(few_faces), "--captioner", "template", "--splits", "0.6,0.2,0.2", "--processes", "1"]
    result = CliRunner().invoke(main, ["data", "genuser", "--out", str(tmp_path / "g"), *arguments])
    assert result.exit_code == 0, result.output
    splits = [UserFaces.open(tmp_path / "g", name) for name in ("train", "val", "test")]
    assert [len(split) for split in splits] == [96, 32, 32]
    assert not set(splits[0].content) & set(splits[2].content)
    assert splits[0].name == "GenUser"
    women = {split.split: (split.gender == "Female").mean() for split in splits}
    assert max(women.values()) - min(women.values()) < 0.15
    row = int((splits[0].race == "East Asian").nonzero()[0][0])
    assert "East Asian" in splits[0].caption[row]
    assert splits[0].attributes(row)["ethnicity"] == "East Asian"
    assert not (tmp_path / "g.jsonl").exists()  # nothing was paid for
    again = CliRunner().invoke(main, ["data", "genuser", "--out", str(tmp_path / "g"), *arguments])
    assert again.exit_code == 2
    assert "--overwrite" in again.output


def test_long_profiles_are_cut_or_left_out(chat_server: ChatServer, tmp_path: Path) -> None:
    folder = folder_of_faces(tmp_path / "faces", 10)
    long = "She has long hair. " * 30
    for name, more in (("cut", ()), ("refused", ("--long-captions", "refuse"))):
        chat_server.script = [lambda: completion(long)]
        arguments = command(chat_server, folder, tmp_path / name, *more, "--concurrency", "1")
        assert CliRunner().invoke(genuser, arguments, catch_exceptions=False).exit_code == 0
        told = json.loads((tmp_path / name / "data_set.json").read_text())["settings"]["profiles"]
        assert (told["cut"], told["too_long"]) == ((1, 0) if name == "cut" else (0, 1))
        captions = [
            text for split in ("train", "val", "test") for text in UserFaces.open(tmp_path / name, split).caption
        ]
        assert len(captions) == (10 if name == "cut" else 9)
        assert all(len(text) < len(long) for text in captions)
