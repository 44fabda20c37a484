"""Questions to a captioner: what is kept, what it may cost, what a failure stops."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections import Counter
from collections.abc import Mapping
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapport_training.data.captioners.asking import MOST_FAILURES_IN_A_ROW, Answers, Question, ask
from rapport_training.data.captioners.base import Answer, Caption, CaptionError, NoAnswerError, Refusal
from rapport_training.data.captioners.ledger import Ledger, key_of
from rapport_training.data.captioners.pacing import Pacer


class Priced:
    """Answers with what it was shown, for a price; fails where it is told to."""

    free = False
    identity = "test/priced/1"

    def __init__(self, cost: float = 1.0, failing: frozenset[int] = frozenset()) -> None:
        self.asked: Counter[int] = Counter()
        self.answered = 0
        self._cost, self._failing, self._changed = cost, failing, threading.Condition()

    def caption(self, picture: bytes, attributes: Mapping[str, str]) -> Answer:
        number = int(picture)
        with self._changed:
            self.asked[number] += 1
            if number in self._failing:  # none overtakes the answers before the first of them, however threads run
                self._changed.wait_for(lambda: self.answered >= min(self._failing), 60)
                raise NoAnswerError("busy")
            self.answered += 1
            self._changed.notify_all()
        return Caption(f"Person {number}.", 10, 5, self._cost)

    def close(self) -> None:
        pass


def questions(count: int) -> list[Question]:
    pictures = [str(number).encode() for number in range(count)]
    return [
        Question(f"{number}.jpg", hashlib.sha256(picture).hexdigest(), {"age": "3-9"}, partial(bytes, picture))
        for number, picture in enumerate(pictures)
    ]


def run(captioner: Priced, path: Path, count: int, concurrency: int = 3, budget: float | None = None) -> Answers:
    with Ledger(path, captioner.identity) as ledger:
        return ask(captioner, questions(count), ledger, concurrency=concurrency, budget=budget)


def test_every_question_is_answered_once_and_kept(tmp_path: Path) -> None:
    captioner = Priced()
    answers = run(captioner, tmp_path / "ledger", 40)
    assert len(answers.by_key) == 40
    assert answers.by_key[questions(40)[7].key] == Caption("Person 7.", 10, 5, 1.0)
    again = Priced()
    assert run(again, tmp_path / "ledger", 42).by_key.keys() == {one.key for one in questions(42)}
    assert set(again.asked) == {40, 41}


class InThrees(Priced):
    """Answers three questions together, as soon as the third is put; a fourth that is on its way then fails."""

    def __init__(self) -> None:
        super().__init__()
        self._three = threading.Barrier(3)
        self._places = threading.Semaphore(3)

    def caption(self, picture: bytes, attributes: Mapping[str, str]) -> Answer:
        assert self._places.acquire(blocking=False), "more than three at a time"
        try:
            self._three.wait(60)
            return super().caption(picture, attributes)
        finally:
            self._places.release()


def test_as_many_questions_as_were_asked_for_are_on_their_way_at_a_time(tmp_path: Path) -> None:
    assert len(run(InThrees(), tmp_path / "ledger", 12, concurrency=3).by_key) == 12


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_budget_is_never_overdrawn_and_a_larger_one_goes_on(tmp_path: Path, concurrency: int) -> None:
    captioner = Priced(cost=0.25)
    with pytest.raises(CaptionError, match="larger budget"):
        run(captioner, tmp_path / "ledger", 20, concurrency, budget=2.6)
    assert captioner.asked.total() == 10  # 2.5 are spent, an eleventh would make 2.75
    run(captioner, tmp_path / "ledger", 20, concurrency, budget=5.0)
    assert captioner.asked.total() == 20
    assert set(captioner.asked.values()) == {1}


def test_pictures_without_an_answer_are_asked_for_again_by_the_next_run(tmp_path: Path) -> None:
    answers = run(Priced(failing=frozenset({3, 5})), tmp_path / "ledger", 12)
    assert sorted(answers.unanswered) == [("3.jpg", "busy"), ("5.jpg", "busy")]
    again = Priced()
    assert not run(again, tmp_path / "ledger", 12).unanswered
    assert set(again.asked) == {3, 5}


def test_an_endpoint_that_is_down_stops_the_run(tmp_path: Path) -> None:
    captioner = Priced(failing=frozenset(range(5, 1000)))
    with pytest.raises(CaptionError, match="in a row"):
        run(captioner, tmp_path / "ledger", 1000, concurrency=2)
    assert captioner.asked.total() <= 5 + MOST_FAILURES_IN_A_ROW + 2
    with Ledger(tmp_path / "ledger", captioner.identity) as ledger:
        assert len(ledger.answers) == 5


def test_a_refusal_is_an_answer(tmp_path: Path) -> None:
    one = questions(1)[0]
    with Ledger(tmp_path / "ledger", "a") as ledger:
        ledger.record(one.key, one.file, Refusal("no", 3, 4, 0.5))
    with Ledger(tmp_path / "ledger", "a") as ledger:
        assert ledger.answers == {one.key: Refusal("no", 3, 4, 0.5)}


@given(cut=st.integers(0, 400), junk=st.binary(max_size=12))
def test_an_interrupted_line_is_dropped_wherever_it_was_cut(tmp_path_factory, cut: int, junk: bytes) -> None:
    path = tmp_path_factory.mktemp("cut") / "ledger"
    with Ledger(path, "a") as ledger:
        for one in questions(3):
            ledger.record(one.key, one.file, Caption("A profile – with a dash."))
    whole = path.read_bytes()
    path.write_bytes(whole[: max(0, len(whole) - cut)] + (junk.replace(b"\n", b"") if cut else b""))
    kept = path.read_bytes().count(b"\n")
    with Ledger(path, "a") as ledger:
        assert len(ledger.answers) == kept
        for one in questions(3):
            ledger.record(one.key, one.file, Caption("Again."))
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with Ledger(path, "a") as ledger:
        ledger.record(("c", "d"), "f", Caption("A profile."))
    path.write_text(path.read_text() + '{"content": 1}\n')
    with pytest.raises(CaptionError, match="line 2 is damaged"):
        Ledger(path, "a")


def test_captioners_share_a_ledger_but_not_its_answers(tmp_path: Path) -> None:
    key = key_of("content", {"age": "3-9"})
    with Ledger(tmp_path / "ledger", "a") as ledger:
        ledger.record(key, "f", Caption("A profile.", cost=2.0))
    with Ledger(tmp_path / "ledger", "b") as ledger:
        assert not ledger.answers
        assert ledger.spent == 2.0
    assert key != key_of("content", {"age": "0-2"})


def test_two_runs_do_not_write_to_one_ledger(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger", "a"), pytest.raises(CaptionError, match="another process"):
        Ledger(tmp_path / "ledger", "a")


def test_a_full_disk_is_said_and_loses_nothing(tmp_path: Path) -> None:
    first, second = questions(2)
    with Ledger(tmp_path / "ledger", "a") as ledger:
        ledger.record(first.key, first.file, Caption("A profile."))
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, ledger._file.fileno())
        os.close(full)
        with pytest.raises(CaptionError, match="No space left"):
            ledger.record(second.key, second.file, Caption("Another."))
        assert second.key not in ledger.answers
    with Ledger(tmp_path / "ledger", "a") as ledger:
        assert set(ledger.answers) == {first.key}


@given(st.lists(st.floats(0, 3), max_size=30), st.floats(1, 600))
def test_requests_are_never_closer_than_the_rate_allows(pauses: list[float], per_minute: float) -> None:
    now, passed = [0.0], []
    pacer = Pacer(per_minute, clock=lambda: now[0], sleep=lambda seconds: now.__setitem__(0, now[0] + seconds))
    for pause in pauses:
        now[0] += pause
        pacer.wait()
        passed.append(now[0])
    gaps = [after - before for before, after in pairwise(passed)]
    assert all(gap >= 60 / per_minute - 1e-6 for gap in gaps)
    idle = Pacer(None, sleep=lambda _seconds: pytest.fail("waited without a limit"))
    idle.wait()
    idle.wait()
