"""Asks a captioner about many pictures: several at a time, within a budget, and never twice."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from tqdm import tqdm

from rapport_training.data.captioners.base import Answer, Captioner, CaptionError, NoAnswerError
from rapport_training.data.captioners.ledger import Key, Ledger, key_of

_log = logging.getLogger(__name__)

#: So many pictures in a row without an answer mean that the endpoint is down, not that the pictures are odd.
MOST_FAILURES_IN_A_ROW = 8


@dataclass(frozen=True)
class Question:
    """A picture to be described.

    Attributes:
        file: its name.
        content: SHA-256 of the encoded picture, hexadecimal.
        attributes: what is known of the person.
        read: gives the encoded picture.
    """

    file: str
    content: str
    attributes: Mapping[str, str]
    read: Callable[[], bytes]

    @property
    def key(self) -> Key:
        """What the answer is kept under."""
        return key_of(self.content, self.attributes)


@dataclass
class Answers:
    """What came of it.

    Attributes:
        by_key: answers, old and new.
        unanswered: files that got no answer, with the reason.
    """

    by_key: dict[Key, Answer]
    unanswered: list[tuple[str, str]] = field(default_factory=list)


def answer_freely(captioner: Captioner, questions: Sequence[Question]) -> Answers:
    """Asks a captioner whose answers cost nothing and need not be kept."""
    bar = tqdm(questions, unit="caption")
    return Answers({one.key: captioner.caption(one.read(), one.attributes) for one in bar})


def ask(
    captioner: Captioner,
    questions: Sequence[Question],
    ledger: Ledger,
    *,
    concurrency: int = 1,
    budget: float | None = None,
) -> Answers:
    """Asks for what the ledger lacks; every answer is in the ledger before the next question is put.

    Ctrl-C waits for the answers that are on their way, because they are paid for; a second one does not.

    Args:
        captioner: what is asked.
        questions: in the order in which they are put.
        ledger: this captioner's.
        concurrency: questions on their way at the same time.
        budget: what the whole ledger may cost, earlier runs included; None for no limit.

    Raises:
        CaptionError: if the captioner or the ledger gives up, or the budget is spent; the same call goes on there.
    """
    run = _Run(captioner, ledger, budget)
    missing = [one for one in questions if one.key not in ledger.answers]
    pool = ThreadPoolExecutor(concurrency, thread_name_prefix="caption")
    try:
        with tqdm(total=len(questions), initial=len(questions) - len(missing), unit="caption") as run.bar:
            run.ask_all(missing, pool, concurrency)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return Answers(ledger.answers, run.unanswered)


class _Run:
    """One call of `ask`: what is on its way, and what that may cost."""

    bar: tqdm[None]

    def __init__(self, captioner: Captioner, ledger: Ledger, budget: float | None) -> None:
        self._captioner, self._ledger, self._budget = captioner, ledger, budget
        self._on_their_way: dict[Future[Answer], Question] = {}
        self._dearest = max((answer.cost for answer in ledger.answers.values()), default=0.0)
        self._failures_in_a_row = 0
        self.unanswered: list[tuple[str, str]] = []

    def ask_all(self, missing: Sequence[Question], pool: ThreadPoolExecutor, concurrency: int) -> None:
        try:
            for one in missing:
                self._make_room(concurrency, one)
                self._on_their_way[pool.submit(self._put, one)] = one
            while self._on_their_way:
                self._take_answers()
        except (KeyboardInterrupt, CaptionError):
            self._take_what_is_paid_for()
            raise

    def _put(self, one: Question) -> Answer:
        try:
            picture = one.read()
        except OSError as error:
            raise NoAnswerError(f"its picture cannot be read: {error}") from error
        return self._captioner.caption(picture, one.attributes)

    def _make_room(self, concurrency: int, one: Question) -> None:
        while len(self._on_their_way) >= concurrency or (self._on_their_way and not self._can_pay()):
            self._take_answers()
        if not self._can_pay():
            raise CaptionError(
                f"the budget of {self._budget:g} allows no further caption: {self._ledger.spent:.4f} are spent and one "
                f"costs up to {self._dearest:.4f}; {one.file} comes next, and a larger budget goes on there"
            )

    def _can_pay(self) -> bool:
        """Whether one more answer fits, if those on their way and this one cost as much as the dearest so far."""
        if self._budget is None:
            return True
        if self._dearest == 0.0:  # nothing is known about costs yet: one question at a time until one has a cost
            return not self._on_their_way and self._ledger.spent < self._budget
        return self._ledger.spent + self._dearest * (len(self._on_their_way) + 1) <= self._budget

    def _take_answers(self) -> None:
        done, _ = wait(self._on_their_way, return_when=FIRST_COMPLETED)
        for future in done:
            self._take(future)

    def _take(self, future: Future[Answer]) -> None:
        one = self._on_their_way.pop(future)
        try:
            answer = future.result()
        except NoAnswerError as error:
            self._note_failure(one, error)
            return
        self._failures_in_a_row = 0
        self._dearest = max(self._dearest, answer.cost)
        self._ledger.record(one.key, one.file, answer)
        self.bar.update()
        self.bar.set_postfix_str(f"cost {self._ledger.spent:.2f}" if self._ledger.spent else "", refresh=False)

    def _note_failure(self, one: Question, error: NoAnswerError) -> None:
        self.unanswered.append((one.file, str(error)))
        self._failures_in_a_row += 1
        if self._failures_in_a_row >= MOST_FAILURES_IN_A_ROW:
            raise CaptionError(
                f"{self._failures_in_a_row} pictures in a row got no answer, the last because {error}; what was "
                "answered is kept, the same command goes on there"
            ) from error

    def _take_what_is_paid_for(self) -> None:
        """The answers on their way, so that a stop loses nothing; gives up on them when interrupted once more."""
        if self._on_their_way:
            _log.warning("waiting for %d answers; Ctrl-C again to drop them", len(self._on_their_way))
        try:
            for future in list(self._on_their_way):
                wait([future])
                if future.exception() is None:
                    self._take(future)
        except KeyboardInterrupt:
            self._captioner.close()
            raise
