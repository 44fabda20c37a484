"""A log of a suite, opened, prepared and checked for leaks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rapport_edge.errors import SettingsError
from rapport_training.interest.data.leakage import leakage_report
from rapport_training.interest.data.log import BehaviourLog
from rapport_training.interest.data.prepare import prepare, settings_of
from rapport_training.interest.data.prepared import PreparedLog
from rapport_training.interest.data.settings import PrepareSettings
from rapport_training.interest.tables.jobs import LogDigests, job_key
from rapport_training.interest.tables.recipes import changed
from rapport_training.interest.tables.result import LogSummary
from rapport_training.interest.tables.results_folder import ResultsFolder
from rapport_training.interest.tables.suite import LogPlan


@dataclass(frozen=True)
class OpenLog:
    """A log and its samples.

    Attributes:
        log: items and events; None where only prepared samples were given, so that no encoder can be trained.
        prepared: samples.
        summary: for the report.
    """

    log: BehaviourLog | None
    prepared: PreparedLog
    summary: LogSummary

    @property
    def digests(self) -> LogDigests:
        """What jobs depend on."""
        return LogDigests("" if self.log is None else self.log.digest, self.prepared.digest)


def open_log(plan: LogPlan, folder: Path | None, prepared: Path | None, out: Path) -> OpenLog:
    """Opens a log and prepares it, unless it was prepared before.

    Args:
        plan: of the suite.
        folder: of the log; None where only prepared samples were given.
        prepared: of prepared samples; None to make them under `out`.
        out: of the suite.

    Raises:
        LogError: if something is absent or damaged.
        SettingsError: if the suite's settings cannot be.
    """
    log = None if folder is None else BehaviourLog.open(folder)
    if prepared is None:
        assert log is not None  # the command refuses a name with neither
        settings = changed(PrepareSettings(), plan.prepare, f"log {plan.title}: prepare")
        prepared = out / "prepared" / job_key("prepare", log.digest, plan.prepare)
        if not prepared.is_dir():
            prepared.parent.mkdir(parents=True, exist_ok=True)
            prepare(log, settings, prepared)
    samples = PreparedLog.open(prepared)
    if log is not None and samples.record.settings and settings_of(samples, log) is None:
        raise SettingsError(f"log {plan.title}: {prepared} was not prepared from {folder}, or that has changed since")
    return OpenLog(log, samples, _summary(plan, samples, ResultsFolder(out / "results")))


class KeptSummary(LogSummary, frozen=True, kw_only=True):
    """A summary with the key under which it is kept: the leakage check trains classifiers."""

    format: int = 1
    key: str


def _summary(plan: LogPlan, prepared: PreparedLog, kept: ResultsFolder) -> LogSummary:
    key = job_key("summary", plan.title, prepared.digest)
    found = kept.read(key, KeptSummary)
    if found is not None:
        return found
    splits = [prepared.samples(split) for split in ("train", "validation", "test")]
    return kept.keep(
        KeptSummary(
            key=key,
            title=plan.title,
            protocol=prepared.protocol,
            digest=prepared.digest,
            sizes=(len(splits[0]), len(splits[1]), len(splits[2])),
            items=len(prepared.item_values) - 2,
            users=len(prepared.user_values) - 2,
            new=int(np.count_nonzero(splits[2].cold)),
            leakage=leakage_report(prepared).line(),
        )
    )
