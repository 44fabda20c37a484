"""The report of an evaluation: one HTML file, Markdown and JSON from the same figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import msgspec

from rapport_training.commit import current_commit
from rapport_training.demographic.evaluation import plots
from rapport_training.demographic.evaluation.attributes import Attributes
from rapport_training.demographic.evaluation.figure_rows import (
    AttributeRow,
    GapRow,
    attribute_lines,
    attribute_rows,
    gap_lines,
    gap_rows,
)
from rapport_training.demographic.evaluation.result import Result, cross_matrix
from rapport_training.demographic.evaluation.suite import Suite
from rapport_training.demographic.evaluation.table import READINGS, Table, as_markdown, heading, table_of
from rapport_training.reporting.page import Plot, render
from rapport_training.reporting.report_files import write_report_files

_COLUMNS = ("gender", "age", "race", "gender x race")


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """report.json: everything that the other two show.

    Attributes:
        created: day, ISO 8601.
        commit: of the code that measured.
        suite: what was asked for.
        missing: why a run of the suite is not there, by its name.
        results: what was measured.
    """

    created: str
    commit: str
    suite: Suite
    missing: dict[str, str]
    results: list[Result]


@dataclass(frozen=True)
class Section:
    """All about one test set."""

    title: str
    plots: list[Plot]
    attributes: list[AttributeRow]
    gaps: list[GapRow]
    skipped: list[str]


def write_report(suite: Suite, results: Sequence[Result], missing: Mapping[str, str], folder: Path) -> Path:
    """Writes report.html, report.md and report.json into `folder` and returns the first.

    Raises:
        SettingsError: if the folder cannot be written.
    """
    record = Record(
        created=date.today().isoformat(),
        commit=current_commit(),
        suite=suite,
        missing=dict(missing),
        results=list(results),
    )
    tables = [table_of(suite, results, setting) for setting in suite.settings]
    sections = [
        _section(title, _of(results, key, suite)) for key, title in suite.data.items() if _of(results, key, suite)
    ]
    page = _html(record, tables, sections, _cross_plots(suite, results))
    return write_report_files(folder, record, _markdown(record, tables, sections), page)


def _section(title: str, results: Mapping[str, Result]) -> Section:
    zero = {name: found.zero_shot for name, found in results.items() if found.zero_shot is not None}
    probe = {name: found.probe for name, found in results.items() if found.probe is not None}
    skipped = sorted({f"{what}: {why}" for found in results.values() for what, why in found.skipped.items()})
    return Section(
        title=title,
        plots=_section_plots(results, zero, probe),
        attributes=attribute_rows(zero, "zero-shot") + attribute_rows(probe, "linear probe"),
        gaps=gap_rows(zero),
        skipped=skipped,
    )


def _section_plots(
    results: Mapping[str, Result], zero: Mapping[str, Attributes], probe: Mapping[str, Attributes]
) -> list[Plot]:
    found = [
        Plot.of(
            "User retrieval as the pool grows",
            "Accuracy of the first answer. Left only the query's own picture is right, right any with its caption.",
            lambda: plots.retrieval_by_pool(results),
        )
    ]
    if not zero:
        return found
    found.append(
        Plot.of(
            "Attributes: zero-shot and linear probe",
            "Calibrated zero-shot heads beside logistic regression on the same frozen embeddings; 95 % intervals.",
            lambda: plots.zero_shot_and_probe(zero, probe),
        )
    )
    for column in _COLUMNS:
        if any(column in one.groups for one in zero.values()):
            caption = "Zero-shot, with 95 % intervals (Wilson for shares, normal for years)."
            found.append(Plot.of(f"By {column}", caption, lambda column=column: plots.group_bars(zero, column)))
    curves = "Accuracy of the most probable label against its probability, after calibration on the validation split."
    found.append(Plot.of("Calibration", curves, lambda: plots.calibration_curves(zero)))
    aged = {name: one for name, one in zero.items() if "age" in one.attributes}
    if aged:
        caption = "Of the faces of each true age bin (rows), the percentage that gets each answer (columns)."
        found.append(Plot.of("Confusion of ages, zero-shot", caption, lambda: plots.age_confusion(aged)))
    return found


def _cross_plots(suite: Suite, results: Sequence[Result]) -> list[Plot]:
    found = []
    tests = [suite.data[key] for key in dict.fromkeys(one.data for one in results)]
    for setting in suite.settings:
        matrix = cross_matrix(results, setting)
        rows = [f"{label}, {suite.title(variant)}" for label, variant in matrix]
        title = f"Accuracy: {setting.title}"
        draw = _cross(matrix, rows, tests, title)
        found.append(Plot.of(title, "Rows: what the model was trained on. Columns: test sets. Means over seeds.", draw))
    return found


def _cross(matrix: Mapping, rows: Sequence[str], tests: Sequence[str], title: str) -> Callable[[], bytes]:
    return lambda: plots.cross_heat_map(matrix, rows, tests, title)


def _of(results: Sequence[Result], data: str, suite: Suite) -> dict[str, Result]:
    """One result per model and variant by its title: of several seeds the first, since faces cannot be averaged."""
    chosen: dict[tuple[str, str], Result] = {}
    for found in results:
        if found.data == data:
            chosen.setdefault((found.label, found.variant), found)
    return {
        f"{label}, {suite.title(variant)}" + ("" if found.seed is None else f", seed {found.seed}"): found
        for (label, variant), found in chosen.items()
    }


def _html(record: Record, tables: Sequence[Table], sections: Sequence[Section], cross: Sequence[Plot]) -> str:
    return render(
        "rapport_training.demographic.evaluation",
        record=record,
        heading=heading(record.suite, record.results),
        readings=READINGS if record.suite.paper else "",
        tables=tables,
        sections=sections,
        cross=cross,
    )


def _markdown(record: Record, tables: Sequence[Table], sections: Sequence[Section]) -> str:
    parts = [f"# Evaluation: {record.suite.name}", *[f"- {line}" for line in heading(record.suite, record.results)]]
    parts += [f"- not measured: {name}, {reason}" for name, reason in record.missing.items()]
    if record.suite.paper:
        parts += ["", READINGS]
    for table in tables:
        parts += ["", f"## User retrieval: {table.title}", "", as_markdown(table)]
    for section in sections:
        parts += ["", f"## Attributes on {section.title}", "", *attribute_lines(section.attributes)]
        parts += ["", *gap_lines(section.gaps), "", *[f"- left out: {reason}" for reason in section.skipped]]
    return "\n".join(parts) + f"\n\nMeasured {record.created} with commit {record.commit}.\n"
