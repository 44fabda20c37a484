"""Has the profiles of GenUser written, and accounts for every face that has none."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rapport_training.data.captioners.asking import Answers, Question, answer_freely, ask
from rapport_training.data.captioners.base import Caption, Captioner, CaptionError, Refusal
from rapport_training.data.captioners.ledger import Ledger
from rapport_training.data.captioners.length import ClipLength

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Asking:
    """How a captioner is asked.

    Attributes:
        ledger: file that keeps the answers.
        concurrency: questions on their way at the same time.
        budget: what all answers in the ledger may cost; None for no limit.
        skip_unanswered: go on without the pictures that got no answer.
        refuse_long: leave out profiles that CLIP's text tower cannot read whole, instead of cutting them.
    """

    ledger: Path
    concurrency: int = 1
    budget: float | None = None
    skip_unanswered: bool = False
    refuse_long: bool = False


@dataclass
class Profiles:
    """What came of it.

    Attributes:
        captions: by content hash.
        refused, unanswered, too_long: files without a profile, with the reason.
        cut: number of profiles that were shortened to what CLIP's text tower reads.
        input_tokens, output_tokens, cost: of the answers for these faces, earlier runs included.
    """

    captions: dict[str, str] = field(default_factory=dict)
    refused: list[tuple[str, str]] = field(default_factory=list)
    unanswered: list[tuple[str, str]] = field(default_factory=list)
    too_long: list[tuple[str, str]] = field(default_factory=list)
    cut: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0


def write_profiles(captioner: Captioner, questions: Sequence[Question], asking: Asking) -> Profiles:
    """Has a profile written for every question, or knows why there is none.

    Raises:
        CaptionError: if the captioner gives up, the budget is spent, pictures stay without an answer, or there is no
            profile at all; what was answered is in the ledger, and the same call goes on there.
    """
    answers = _answers(captioner, questions, asking)
    if answers.unanswered and not asking.skip_unanswered:
        file, reason = answers.unanswered[0]
        raise CaptionError(
            f"{len(answers.unanswered)} of {len(questions)} pictures got no answer, {file} because {reason}; the same "
            "command asks for them again, --skip-unanswered leaves them out"
        )
    profiles = _collect(questions, answers, refuse_long=asking.refuse_long)
    if not profiles.captions:
        file, reason = [*profiles.refused, *profiles.too_long, *profiles.unanswered, ("", "there are no pictures")][0]
        raise CaptionError(f"not one profile was written; {file}: {reason}")
    return profiles


def _answers(captioner: Captioner, questions: Sequence[Question], asking: Asking) -> Answers:
    if captioner.free:
        return answer_freely(captioner, questions)
    with Ledger(asking.ledger, captioner.identity) as ledger:
        return ask(captioner, questions, ledger, concurrency=asking.concurrency, budget=asking.budget)


def _collect(questions: Sequence[Question], answers: Answers, *, refuse_long: bool) -> Profiles:
    profiles, length = Profiles(unanswered=answers.unanswered), ClipLength()
    for one in questions:
        answer = answers.by_key.get(one.key)
        if answer is None:
            continue
        profiles.input_tokens += answer.input_tokens
        profiles.output_tokens += answer.output_tokens
        profiles.cost += answer.cost
        if isinstance(answer, Refusal):
            profiles.refused.append((one.file, answer.reason))
        else:
            _keep(one, answer, profiles, length, refuse_long=refuse_long)
    for what, files in (("refused", profiles.refused), ("too long", profiles.too_long)):
        if files:
            _log.warning("%d profiles were %s, such as that of %s: %s", len(files), what, *files[0])
    return profiles


def _keep(one: Question, answer: Caption, profiles: Profiles, length: ClipLength, *, refuse_long: bool) -> None:
    if length.fits(answer.text):
        profiles.captions[one.content] = answer.text
    elif refuse_long:
        profiles.too_long.append((one.file, f"{length.tokens(answer.text)} tokens"))
    else:
        profiles.captions[one.content] = length.shortened(answer.text)
        profiles.cut += 1
