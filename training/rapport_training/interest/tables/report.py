"""The report of a suite: one HTML file with plots, Markdown and JSON from the same record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from rapport_training.interest.tables import paper, plots
from rapport_training.interest.tables.claims import outcomes
from rapport_training.interest.tables.record import Record, RowRecord, Table, TableRecord
from rapport_training.interest.tables.result import CtrResult, gain
from rapport_training.interest.tables.table import MISSING, auc, auc_table, base_jobs, cost_table, paper_gain, title_of
from rapport_training.reporting.markdown import markdown_table
from rapport_training.reporting.page import Plot, render
from rapport_training.reporting.report_files import write_report_files
from rapport_training.reporting.spread import Spread


def complete(record: Record) -> Record:
    """The record with its tables as they are printed and the outcome of its claims."""
    printed = [auc_table(record, table) for table in record.tables]
    if record.costs:
        printed.append(cost_table(record))
    printed += [found for table in record.tables if table.table == "2" and (found := age_table(record, table))]
    return msgspec.structs.replace(record, printed=printed, claims=outcomes(record))


def write_report(record: Record, folder: Path) -> Path:
    """Writes report.html, report.md and report.json into `folder` and returns the first.

    Args:
        record: as `complete` gives it.
        folder: made where there is none.

    Raises:
        SettingsError: if the folder cannot be written.
    """
    page = render("rapport_training.interest.tables", record=record, heading=heading(record), plots=drawn(record))
    return write_report_files(folder, record, as_markdown(record), page)


def heading(record: Record) -> list[str]:
    """What was measured on what, and how."""
    lines = [
        f"{log.title}: {log.sizes[0]:,} training, {log.sizes[1]:,} validation and {log.sizes[2]:,} test samples of "
        f"{log.users:,} users and {log.items:,} items; digest {log.digest[:12]}"
        for log in record.logs.values()
    ]
    seeds = ", ".join(map(str, record.seeds))
    lines.append(f"Seeds {seeds}; mean ± sample standard deviation over them, differences seed by seed.")
    if record.suite.encoder_seeds == "one" and record.suite.encoders:
        lines.append(
            f"Every encoder was trained once, with seed {record.suite.seeds[0]}: the spread is that of the "
            "click-through-rate models."
        )
    lines += [f"Encoder {name}: {note}" for name, note in record.suite.encoder_notes.items()]
    if record.suite.paper:
        lines.append(f"Paper: {paper.SOURCE}. Other data, other sizes: its figures are there for the order of rows.")
    return lines


def as_markdown(record: Record) -> str:
    """The same as the page, without plots."""
    parts = [f"# Content-interest modelling: {record.suite.name}", "", *[f"- {line}" for line in heading(record)]]
    parts += [f"- Claim {'holds' if one.holds else 'does not hold'}: {one.sentence}" for one in record.claims]
    parts += [f"- Not measured: {name}: {reason}" for name, reason in record.missing.items()]
    for table in record.printed:
        parts += ["", f"## {table.title}", "", *markdown_table(table.columns, table.rows), ""]
        parts += [f"- {note}" for note in table.notes]
    return "\n".join(parts) + f"\n\nWritten {record.created} with commit {record.commit}.\n"


def age_table(record: Record, table: TableRecord) -> Table | None:
    """Fig. 6 in figures; None where no model has sets of items."""
    series, sets = _age_gains(record, table)
    if not series:
        return None
    rows = [
        [label, *(MISSING if one is None else one.text(4, signed=True) for one in found)]
        for label, found in series.items()
    ]
    first = next(result for row in table.rows for key in row.jobs if (result := record.results.get(key)))
    sizes = ", ".join(f"{one.name} {one.samples:,} ({one.positives:,} of label 1)" for one in first.ages)
    return Table(
        title=f"Figure 6: gain by age of items, {record.suite.logs[table.log].title}",
        columns=["model", *sets],
        rows=rows,
        notes=[f"S1 newest to S10 oldest, {first.ages[0].items} tested items each; samples: {sizes}."],
    )


def drawn(record: Record) -> dict[str, list[Plot]]:
    """Plots by the title of the table that they belong to."""
    found: dict[str, list[Plot]] = {}
    for table in record.tables:
        ours, theirs = _gains(record, table)
        if ours:
            caption = "Differences from the base, seed by seed." + (" Rings: the paper's." if theirs else "")
            draw = _gains_plot(ours, theirs)
            found[title_of(record, table)] = [Plot.of(f"Gains, {title_of(record, table)}", caption, draw)]
        printed = age_table(record, table) if table.table == "2" else None
        if printed is not None:
            found[printed.title] = [Plot.of(printed.title, "Mean and standard deviation.", _age_plot(record, table))]
    if any(row.train or row.inference for row in record.costs):
        draw = lambda: plots.costs(record.costs)  # noqa: E731
        found[cost_table(record).title] = [Plot.of("Cost", "Logarithmic scales.", draw)]
    return found


def _gains(record: Record, table: TableRecord) -> tuple[dict[str, Spread], dict[str, float]]:
    ours: dict[str, Spread] = {}
    theirs: dict[str, float] = {}
    for row in table.rows:
        base = base_jobs(table, row)
        found = gain(record.results, row.jobs, base, auc) if len(base) == len(row.jobs) else None
        if found is not None:
            ours[row.label] = found
            value = paper_gain(table.table, row.label, row.base) if record.suite.paper else None
            theirs |= {} if value is None else {row.label: value}
    return ours, theirs


def _gains_plot(ours: Mapping[str, Spread], theirs: Mapping[str, float]) -> Callable[[], bytes]:
    return lambda: plots.gains(ours, theirs)


def _age_plot(record: Record, table: TableRecord) -> Callable[[], bytes]:
    series, sets = _age_gains(record, table)
    return lambda: plots.age_gains(series, sets)


def _age_gains(record: Record, table: TableRecord) -> tuple[dict[str, list[Spread | None]], list[str]]:
    """By model the gains of the ten sets."""
    sets = next((result.ages for result in record.results.values() if result.ages), [])
    names = [one.name for one in sets]
    series = {}
    for row in table.rows:
        base = base_jobs(table, row)
        if base and len(base) == len(row.jobs):
            found = [_set_gain(record, row, base, place) for place in range(len(names))]
            if any(one is not None for one in found):
                series[row.label.partition(",")[0]] = found
    return series, names


def _set_gain(record: Record, row: RowRecord, base: Sequence[str], place: int) -> Spread | None:
    def of_set(result: CtrResult) -> float | None:
        return result.ages[place].auc if result.ages else None

    return gain(record.results, row.jobs, base, of_set)
