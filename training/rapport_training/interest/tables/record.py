"""The record of a suite's run: report.json, from which Markdown and HTML are made."""

from __future__ import annotations

import msgspec

from rapport_training.interest.tables.result import CostResult, CtrResult, LogSummary
from rapport_training.interest.tables.suite import Suite


class RowRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A row as it was planned.

    Attributes:
        label: in the table.
        base: label of the row of which the difference is taken; "" for none.
        stands_for: what is meant where the log has no such thing.
        jobs: keys into `Record.results`, one per seed.
    """

    label: str
    base: str = ""
    stands_for: str = ""
    jobs: list[str]


class TableRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A table as it was planned: which of the paper's, on which log."""

    table: str
    log: str
    note: str = ""
    rows: list[RowRecord]


class CostRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A row of Table 6; None where a step could not be measured."""

    label: str
    train: CostResult | None
    inference: CostResult | None


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A table as it is printed.

    Attributes:
        title: above.
        columns: headings.
        rows: cells, one per heading.
        notes: below.
    """

    title: str
    columns: list[str]
    rows: list[list[str]]
    notes: list[str]


class ClaimOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """Whether Table 2 shows on a log what the suite claims.

    Attributes:
        sentence: what was claimed and what came out.
        gains: mean gain in AUC by model: all test samples, those of new items, those of known ones.
        holds: for every model.
    """

    sentence: str
    gains: dict[str, tuple[float, float | None, float | None]]
    holds: bool


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """report.json.

    Attributes:
        created: day, ISO 8601.
        commit: of the code that wrote the report; each result names that which measured it.
        suite: what was asked for.
        seeds: of the click-through-rate models.
        logs: by name, those that were given.
        tables: rows and their jobs.
        results: by job.
        costs: Table 6.
        missing: by row or training, why it is not there.
        printed: the tables as they are printed.
        claims: of the suite.
    """

    created: str
    commit: str
    suite: Suite
    seeds: list[int]
    logs: dict[str, LogSummary]
    tables: list[TableRecord]
    results: dict[str, CtrResult]
    costs: list[CostRecord]
    missing: dict[str, str]
    printed: list[Table] = []
    claims: list[ClaimOutcome] = []
