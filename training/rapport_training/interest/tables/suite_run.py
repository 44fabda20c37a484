"""`rapport-train interest table`: does what is missing, keeps what is done, and can be stopped at any time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import date
from typing import TypeVar

from rapport_edge.errors import RapportError
from rapport_training.commit import current_commit
from rapport_training.interest.tables.cost import COSTS, CostJob, cost_jobs
from rapport_training.interest.tables.estimate import Kind, Pace, in_words
from rapport_training.interest.tables.jobs import CtrJob, EncoderJob, PlannedTable, Planner, by_seed, chain, chosen
from rapport_training.interest.tables.record import CostRecord, Record, RowRecord, TableRecord
from rapport_training.interest.tables.result import CostResult, CtrResult
from rapport_training.interest.tables.results_folder import Finished
from rapport_training.interest.tables.suite import Row, Suite
from rapport_training.interest.tables.trainings import Trainings, embedding_key

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

#: What a training may end with that the other trainings can do without.
_FAILURES = (RapportError, RuntimeError, ValueError, OSError)


class SuiteRun:
    """Works through a suite.

    Args:
        suite: the suite.
        trainings: does the jobs, on the logs that were given.
        seeds: of the click-through-rate models.
        only: tables, such as "2" or "2/content"; empty for all.
        progress: gets one line per job.

    Attributes:
        missing: by row or job, why it is not there.
    """

    def __init__(
        self,
        suite: Suite,
        trainings: Trainings,
        seeds: Sequence[int],
        only: Sequence[str] = (),
        progress: Callable[[str], object] = lambda text: None,
    ) -> None:
        self._suite, self._do, self._progress = suite, trainings, progress
        digests = {name: log.digests for name, log in trainings.logs.items()}
        self._planner = Planner(suite, seeds, digests)
        self._tables = self._planner.tables(only)
        self._costs = cost_jobs(suite, self._planner) if suite.cost and chosen(only, "6", suite.cost.log) else []
        self._jobs = list(by_seed(self._tables))
        self._pace = Pace()
        self._waiting: dict[str, Kind] = {}
        self._failed: dict[str, str] = {}
        self._results: dict[str, CtrResult] = {}
        self._cost_results: dict[str, CostResult] = {}
        self.missing: dict[str, str] = {}

    def work(self) -> None:
        """Does every job; one that fails leaves the others alone.

        Raises:
            KeyboardInterrupt: after Ctrl-C; `record` holds what is done.
        """
        self._look_at_what_is_kept()
        for job in self._jobs:
            self._ctr(job)
        for cost in self._costs:
            self._cost(cost)

    def record(self) -> Record:
        """What is done so far."""
        missing = self.missing | {row: reason for table in self._tables for row, reason in self._absent(table)}
        return Record(
            created=date.today().isoformat(),
            commit=current_commit(),
            suite=self._suite,
            seeds=self._planner.seeds,
            logs={name: log.summary for name, log in self._do.logs.items()},
            tables=[_table_record(table) for table in self._tables],
            results=self._results,
            costs=self._cost_records(),
            missing=missing,
        )

    def _look_at_what_is_kept(self) -> None:
        """Fills results and pace with what an earlier command did; the rest waits."""
        for job in self._jobs:
            found = self._do.kept.read(job.key, CtrResult)
            if found is not None:
                self._results[job.key] = found
                self._pace.add(job.kind, found.seconds)
            else:
                self._waiting[job.key] = job.kind
            self._look_at_encoder(job.encoder)
        for cost in self._costs:
            measured = self._do.kept.read(cost.key, CostResult)
            if measured is not None:
                self._cost_results[cost.key] = measured
                self._pace.add(cost.kind, measured.seconds)
            else:
                self._waiting[cost.key] = cost.kind
            self._look_at_encoder(cost.encoder)

    def _look_at_encoder(self, encoder: EncoderJob | None) -> None:
        for step in chain(encoder):
            found = self._do.kept.read(step.key, Finished)
            if found is None:
                self._waiting[step.key] = step.kind
            else:
                self._pace.add(step.kind, found.seconds)

    def _ctr(self, job: CtrJob) -> None:
        if job.key in self._results:
            return
        reason = self._encoder(job.encoder)
        if reason:
            self._failed[job.key] = reason
            self._waiting.pop(job.key, None)
            return
        found = self._attempt(job.key, job.kind, job.title, lambda: self._do.train_ctr(job))
        if found is not None:
            self._results[job.key] = found
            self._progress(f"  AUC {found.test.auc:.4f} after {found.epochs} epochs, {found.seconds:.0f} s")

    def _encoder(self, job: EncoderJob | None) -> str:
        """Trains what is missing of an encoder and embeds the catalogue; why not, or ""."""
        for step in chain(job):
            if step.key in self._failed:
                return f"its encoder: {self._failed[step.key]}"
            if self._do.kept.read(step.key, Finished) is None:
                self._attempt(step.key, step.kind, step.title, lambda step=step: self._do.train_encoder(step))
            if step.key in self._failed:
                return f"its encoder: {self._failed[step.key]}"
        if job is None:
            return ""
        key = embedding_key(job)
        if key not in self._failed and self._do.kept.read(key, Finished) is None:
            title = f"{job.log}: embedding the catalogue"
            self._attempt(key, ("embed", job.log), title, lambda: self._do.embed(job))
        return self._failed.get(key, "")

    def _cost(self, job: CostJob) -> None:
        if job.key in self._cost_results:
            return
        reason = self._encoder(job.encoder)
        if reason:
            self._failed[job.key] = self.missing[job.title] = reason
            self._waiting.pop(job.key, None)
            return
        found = self._attempt(job.key, job.kind, job.title, lambda: job.measure(self._do))
        if found is not None:
            self._cost_results[job.key] = found

    def _attempt(self, key: str, kind: Kind, title: str, do: Callable[[], _T]) -> _T | None:
        """What a job gives; None and the reason kept if it fails."""
        left = self._pace.left(self._waiting.values())
        self._progress(f"{title} ({len(self._waiting)} to do{in_words(left)})")
        try:
            found = do()
        except _FAILURES as error:
            _log.warning("%s failed: %s", title, error, exc_info=not isinstance(error, RapportError))
            self._failed[key] = self.missing[title] = str(error).splitlines()[0] if str(error) else repr(error)
            found = None
        finally:
            self._waiting.pop(key, None)
        if found is not None:
            self._pace.add(kind, found.seconds)  # type: ignore[attr-defined] - every kind of result has it
        return found

    def _absent(self, table: PlannedTable) -> list[tuple[str, str]]:
        """Rows without any result, and why."""
        name = f"table {table.plan.table}, {table.plan.log}"
        if table.plan.log not in self._do.logs:
            return [(name, f"no --log {table.plan.log}=...")]
        absent = [row for row in table.rows if not any(job.key in self._results for job in row.jobs)]
        return [(f"{name}: {row.row.label}", self._reason(row.row, [job.key for job in row.jobs])) for row in absent]

    def _reason(self, row: Row, keys: Sequence[str]) -> str:
        if row.missing:
            return row.missing
        return next((self._failed[key] for key in keys if key in self._failed), "not trained yet")

    def _cost_records(self) -> list[CostRecord]:
        def of(label: str, phase: str) -> CostResult | None:
            key = next((job.key for job in self._costs if (job.label, job.phase) == (label, phase)), "")
            return self._cost_results.get(key)

        if not self._costs:
            return []
        return [CostRecord(label=one, train=of(one, "train"), inference=of(one, "inference")) for one in COSTS]


def _table_record(table: PlannedTable) -> TableRecord:
    rows = []
    for place, planned in enumerate(table.rows):
        # In Table 2 every second row is a model with MIM; elsewhere the first row is what the others differ from.
        base = table.rows[place - place % 2 if table.plan.table == "2" else 0]
        rows.append(
            RowRecord(
                label=planned.row.label,
                base="" if base is planned else base.row.label,
                stands_for=planned.row.stands_for,
                jobs=[job.key for job in planned.jobs],
            )
        )
    return TableRecord(table=table.plan.table, log=table.plan.log, note=table.plan.note, rows=rows)
