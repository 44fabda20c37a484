"""What a suite comes to: trainings named by all that decides them, so that equal ones are done once and kept."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from rapport_edge.errors import SettingsError
from rapport_training.interest.tables.recipes import ctr_recipe, described, step_recipe
from rapport_training.interest.tables.result import FORMAT
from rapport_training.interest.tables.suite import Row, Step, Suite, TablePlan, rows_of


def job_key(*parts: Any) -> str:
    """16 hexadecimal digits that differ when anything does that the job depends on."""
    return hashlib.sha256(msgspec.json.encode([FORMAT, *parts], order="deterministic")).hexdigest()[:16]


@dataclass(frozen=True)
class LogDigests:
    """A log as jobs depend on it: its tables, and the samples made of them."""

    log: str
    prepared: str


@dataclass(frozen=True)
class EncoderJob:
    """One training of an encoder.

    Attributes:
        log: name of the log that it learns from.
        step: what is trained.
        start: the training before; None for the first.
        seed: of the training.
        digests: of the log. The prepared samples count because they say where the test begins, and no later event may
            teach an encoder.
    """

    log: str
    step: Step
    start: EncoderJob | None
    seed: int
    digests: LogDigests

    @cached_property
    def recipe(self) -> Any:
        """The recipe of the stage, with the seed."""
        return step_recipe(self.step, self.seed)

    @cached_property
    def key(self) -> str:
        """Of the job."""
        start = None if self.start is None else self.start.key
        return job_key(self.step.stage, described(self.recipe), start, self.digests.log, self.digests.prepared)

    @property
    def kind(self) -> tuple[str, ...]:
        """Jobs of a kind take about equally long."""
        return (self.step.stage, self.log)

    @property
    def title(self) -> str:
        """For progress."""
        return f"{self.log}: {self.step.stage} {self.step.recipe}, seed {self.seed}"


@dataclass(frozen=True)
class CtrJob:
    """One training of a click-through-rate model.

    Attributes:
        log: name of the log.
        row: for progress.
        recipe: `CtrRecipe` with the seed.
        encoder: of the content; None for a model without.
        digests: of the log.
    """

    log: str
    row: str
    recipe: Any
    encoder: EncoderJob | None
    digests: LogDigests

    @cached_property
    def key(self) -> str:
        """Of the job."""
        encoder = None if self.encoder is None else self.encoder.key
        return job_key("ctr", described(self.recipe), encoder, self.digests.prepared)

    @property
    def kind(self) -> tuple[str, ...]:
        """As in `EncoderJob`."""
        return ("ctr", self.log, self.recipe.model, "content" if self.encoder else "")

    @property
    def title(self) -> str:
        """For progress."""
        return f"{self.log}: {self.row}, seed {self.recipe.seed}"


@dataclass(frozen=True)
class PlannedRow:
    """A row and its jobs, one per seed; none where the row cannot be measured."""

    row: Row
    jobs: list[CtrJob]


@dataclass(frozen=True)
class PlannedTable:
    """A table and its rows."""

    plan: TablePlan
    rows: list[PlannedRow]


class Planner:
    """Turns rows into jobs.

    Args:
        suite: the suite.
        seeds: of the click-through-rate models.
        digests: of the logs that were given; rows on others have no jobs.
    """

    def __init__(self, suite: Suite, seeds: Sequence[int], digests: Mapping[str, LogDigests]) -> None:
        self.suite, self.seeds, self.digests = suite, list(dict.fromkeys(seeds)), digests

    def tables(self, only: Sequence[str] = ()) -> list[PlannedTable]:
        """The tables that `only` chooses, such as "2" or "2/content"; all without."""
        return [
            PlannedTable(plan, [PlannedRow(row, self._jobs(plan, row)) for row in rows_of(self.suite, plan)])
            for plan in self.suite.tables
            if chosen(only, plan.table, plan.log)
        ]

    def encoder(self, log: str, name: str, seed: int) -> EncoderJob:
        """The last training of an encoder's chain."""
        if self.suite.encoder_seeds == "one":
            seed = self.suite.seeds[0]
        job = None
        for step in self.suite.encoders[name]:
            job = EncoderJob(log, step, job, seed, self.digests[log])
        assert job is not None  # a suite's encoder has at least one step
        return job

    def _jobs(self, plan: TablePlan, row: Row) -> list[CtrJob]:
        if row.missing or plan.log not in self.digests:
            return []
        return [self.ctr(plan.log, row, seed) for seed in self.seeds]

    def ctr(self, log: str, row: Row, seed: int) -> CtrJob:
        """The training of a row with a seed."""
        model = self.suite.models[row.model or self.suite.base]
        change = {**self.suite.logs[log].change, **row.change}
        recipe = ctr_recipe(model, change, seed=seed, content=row.encoder is not None)
        encoder = None if row.encoder is None else self.encoder(log, row.encoder, seed)
        return CtrJob(log, row.label, recipe, encoder, self.digests[log])


def chosen(only: Sequence[str], table: str, log: str) -> bool:
    """Whether a pattern TABLE or TABLE/LOG names a table; all are chosen where there is none."""
    return not only or table in only or f"{table}/{log}" in only


def check_only(suite: Suite, only: Sequence[str]) -> None:
    """A table that the suite does not have is a mistake in typing.

    Raises:
        SettingsError: naming those that there are.
    """
    known = [name for plan in suite.tables for name in (plan.table, f"{plan.table}/{plan.log}")]
    known += [] if suite.cost is None else ["6", f"6/{suite.cost.log}"]
    wrong = [name for name in only if name not in known]
    if wrong:
        raise SettingsError(f"--only {wrong[0]}: the suite {suite.name} has {', '.join(dict.fromkeys(known))}")


def by_seed(tables: Sequence[PlannedTable]) -> Iterator[CtrJob]:
    """Every job once, seed by seed, so that all tables fill evenly."""
    rows = [row for table in tables for row in table.rows]
    seen: set[str] = set()
    for place in range(max((len(row.jobs) for row in rows), default=0)):
        for job in (row.jobs[place] for row in rows if row.jobs):
            if job.key not in seen:
                seen.add(job.key)
                yield job


def chain(job: EncoderJob | None) -> list[EncoderJob]:
    """An encoder's trainings, the first first."""
    return [] if job is None else [*chain(job.start), job]
