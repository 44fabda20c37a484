"""No event that a test asks about, or that came later, teaches an encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from click.testing import CliRunner
from content_log import RECIPE, items_table, recipe_of, write_content_log, write_tables

from rapport_edge.cli import RapportGroup
from rapport_edge.errors import SettingsError
from rapport_training.interest.commands import interest
from rapport_training.interest.content.catalogue import read_catalogue, titles_of
from rapport_training.interest.content.csft.bounds import bounds_of, bounds_until
from rapport_training.interest.content.csft.pairs import interest_pairs
from rapport_training.interest.content.language import new_language_tower
from rapport_training.interest.content.recipe import Csft
from rapport_training.interest.data.held_out import held_out_from
from rapport_training.interest.data.log import BehaviourLog
from rapport_training.interest.data.prepare import prepare
from rapport_training.interest.data.prepared import PreparedLog
from rapport_training.interest.data.schema import TABLES
from rapport_training.interest.data.settings import PrepareSettings

USERS = ("u0", "u1", "u2")
KINDS = ("purchase", "rating", "click")
LABELS = (0.0, 0.6, 0.8, 1.0)
#: Of the catalogue; the last five items lack a picture or a title.
EVENTS = 119

Event = tuple[str, str, float]


def log_of(folder: Path, events: list[Event], *, timed: bool) -> BehaviourLog:
    """Users, kinds and labels, two in each second. Every event is of an item of its own, so that pairs name events."""
    columns: dict[str, Any] = {name: [None] * len(events) for name in TABLES["events"].names}
    columns["user"], columns["kind"], columns["label"] = (list(part) for part in zip(*events, strict=True))
    columns["item"] = [f"i{place}" for place in range(len(events))]
    columns["time" if timed else "order"] = [place // 2 for place in range(len(events))]
    users = {"id": list(USERS), "attributes": [[]] * len(USERS)}
    return write_tables(folder, items_table(EVENTS + 5), users, columns, timed=timed)


def taught(log: BehaviourLog, prepared: PreparedLog, signal: str) -> set[int]:
    """Events that stand in a pair."""
    catalogue = read_catalogue(log, new_language_tower(recipe_of().language, titles_of(log)), 32)
    pairs = interest_pairs(log, catalogue, Csft(signal=signal), bounds_of(prepared, log))
    return {*pairs.query.tolist(), *pairs.item.tolist()}


def held_out(prepared: PreparedLog, events: list[Event]) -> dict[str, list[int]]:
    """Of each user the events that validation and test ask about; sampled negatives are no events of theirs."""
    found: dict[str, list[int]] = {}
    for split in ("validation", "test"):
        samples = prepared.samples(split)
        for user, item in zip(samples.user, samples.item, strict=True):
            event = int(prepared.item_ids[item][1:])
            if event < EVENTS and events[event][0] == prepared.user_ids[user]:
                found.setdefault(prepared.user_ids[user], []).append(event)
    return found


@pytest.mark.parametrize("signal", ["purchase", "click"])
@pytest.mark.parametrize("timed", [True, False], ids=["timed", "ordered"])
@pytest.mark.parametrize("negatives", [0, 1])
@pytest.mark.parametrize("kinds", [(), ("purchase",), ("rating", "click")], ids=str)
def test_leave_last_out_teaches_up_to_a_users_first_held_out_event(
    tmp_path: Path, kinds: tuple[str, ...], negatives: int, timed: bool, signal: str
) -> None:
    rng = np.random.default_rng([len(kinds), negatives, timed])
    drawn = (rng.choice(values, EVENTS).tolist() for values in (USERS, KINDS, LABELS))
    events = list(zip(*drawn, strict=True))
    asked = PrepareSettings(protocol="leave-last-out", sample_kinds=kinds, negatives=negatives)
    log = log_of(tmp_path / "log", events, timed=timed)
    prepared = prepare(log, asked, tmp_path / "samples")
    learnt, held = taught(log, prepared, signal), held_out(prepared, events)
    assert held.keys() == set(USERS)
    for user, own in held.items():
        before = [event for event in range(min(own) // 2 * 2) if events[event][0] == user]
        after = {event for event in range(min(own) // 2 * 2, EVENTS) if events[event][0] == user}
        assert not after & learnt
        positive = [event for event in before if is_positive(*events[event][1:], signal)]
        pairs = positive if len(positive) > 1 else []
        assert set(pairs) == {event for event in learnt if events[event][0] == user}


def is_positive(kind: str, label: float, signal: str) -> bool:
    if signal == "click":
        return kind == "rating" or label >= 0.8
    return kind != "click" and label >= 0.8


def test_the_bound_is_that_of_the_samples_whatever_the_batches(tmp_path: Path) -> None:
    log = write_content_log(tmp_path / "log", users=5, events=40)  # in row groups of 64
    found = held_out_from(log, PrepareSettings(protocol="leave-last-out"))
    assert found.tolist() == [38 * 5 + user for user in range(5)]


def test_users_with_too_few_samples_have_no_bound(tmp_path: Path) -> None:
    events = [("u0", "purchase", 1.0)] * 3 + [("u1", "purchase", 1.0)] * 2
    found = held_out_from(log_of(tmp_path / "log", events, timed=True), PrepareSettings(protocol="leave-last-out"))
    assert found.tolist() == [0, *[np.iinfo(np.int64).max] * 2]


def test_a_split_by_time_ends_before_its_first_question(tmp_path: Path) -> None:
    log = write_content_log(tmp_path / "log")
    prepared = prepare(log, PrepareSettings(negatives=1, sample_kinds=("purchase",)), tmp_path / "samples")
    until = bounds_of(prepared, log).until
    assert until is not None
    assert until < min(prepared.samples(split).time.min() for split in ("validation", "test"))


@pytest.mark.parametrize("protocol", ["leave-last-out", "time"])
def test_samples_of_another_log_do_not_say_what_may_teach(tmp_path: Path, protocol: Literal["time"]) -> None:
    asked = PrepareSettings(protocol=protocol, negatives=1)
    prepared = prepare(write_content_log(tmp_path / "log"), asked, tmp_path / "samples")
    other = write_content_log(tmp_path / "other", users=5)
    with pytest.raises(SettingsError, match=r"samples was not made of the log .*other"):
        bounds_of(prepared, other)


def test_milliseconds_are_no_bound(tmp_path: Path) -> None:
    log = write_content_log(tmp_path / "log")
    assert bounds_until(40, log).until == 40
    with pytest.raises(SettingsError, match=r"--until 1700000000000: .* milliseconds"):
        bounds_until(1_700_000_000_000, log)


def test_the_command_trains_on_leave_last_out_of_some_kinds(tmp_path: Path) -> None:
    log = write_content_log(tmp_path / "log")
    cli = RapportGroup(commands={"interest": interest})
    said = ["--protocol", "leave-last-out", "--sample-kind", "purchase", "--negatives", "1"]
    prepared = ["interest", "prepare", "--log", str(log.path), "--out", str(tmp_path / "samples"), *said]
    assert CliRunner().invoke(cli, prepared).exit_code == 0
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    command = ["interest", "csft", "--log", str(log.path), "--recipe", str(tmp_path / "tiny.yaml")]
    command += ["--data", str(tmp_path / "samples"), "--run", str(tmp_path / "run")]
    trained = CliRunner().invoke(cli, command)
    assert trained.exit_code == 0, trained.output
    unbounded = [*command[:-4], "--all-events", "--run", str(tmp_path / "run")]
    refused = CliRunner().invoke(cli, unbounded)
    assert refused.exit_code == 2
    assert "a run with another samples" in refused.output
