"""Attribute figures as rows of tables, for the report's page and for its Markdown alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rapport_training.demographic.evaluation.attributes import Attributes
from rapport_training.demographic.evaluation.plots import FIGURES

MISSING = "–"


@dataclass(frozen=True)
class AttributeRow:
    """One figure of one model.

    Attributes:
        model, method, figure: what was measured, and how.
        value: with its 95 % interval.
        plain: accuracy with the model's own temperature and without the bias fitted on val, where there is one.
        ece: expected calibration error of the attribute, after (and before) calibration.
        n: faces.
    """

    model: str
    method: str
    figure: str
    value: str
    plain: str
    ece: str
    n: int


@dataclass(frozen=True)
class GapRow:
    """The distance between two groups.

    Attributes:
        model, column, figure: what was measured.
        lowest, highest: groups.
        gap: with its 95 % interval.
    """

    model: str
    column: str
    figure: str
    lowest: str
    highest: str
    gap: str


def attribute_rows(named: Mapping[str, Attributes], method: str) -> list[AttributeRow]:
    """Overall figures of every model."""
    return [_row(model, method, found, figure) for model, found in named.items() for figure in _figures_of(found)]


def gap_rows(named: Mapping[str, Attributes]) -> list[GapRow]:
    """Gaps between groups of every model."""
    rows = []
    for model, found in named.items():
        for column, gaps in found.gaps.items():
            for figure, gap in gaps.items():
                low, high = gap.interval
                text = f"{gap.gap:.3f} ({low:.3f} to {high:.3f})"
                rows.append(GapRow(model, column, FIGURES[figure], gap.lowest, gap.highest, text))
    return rows


def attribute_lines(rows: Sequence[AttributeRow]) -> list[str]:
    """Markdown."""
    if not rows:
        return []
    lines = ["| model | method | figure | value (95 %) | uncalibrated | ECE (before) | faces |", "|" + "---|" * 7]
    return lines + [
        f"| {row.model} | {row.method} | {row.figure} | {row.value} | {row.plain} | {row.ece} | {row.n:,} |"
        for row in rows
    ]


def gap_lines(rows: Sequence[GapRow]) -> list[str]:
    """Markdown."""
    if not rows:
        return []
    lines = ["| model | groups by | figure | lowest | highest | gap (95 %) |", "|" + "---|" * 6]
    return lines + [
        f"| {row.model} | {row.column} | {row.figure} | {row.lowest} | {row.highest} | {row.gap} |" for row in rows
    ]


def _figures_of(found: Attributes) -> list[str]:
    return [name for name in FIGURES if getattr(found.overall, name) is not None]


def _row(model: str, method: str, found: Attributes, figure: str) -> AttributeRow:
    value, (low, high) = getattr(found.overall, figure), found.overall.intervals[figure]
    digits = 2 if figure == "age_mae" else 3
    detail = found.attributes[figure.split("_", maxsplit=1)[0]]
    accuracy = figure.endswith("_accuracy")
    before = MISSING if detail.plain_ece is None else f"{detail.plain_ece:.3f}"
    plain = MISSING if detail.plain_accuracy is None or not accuracy else f"{detail.plain_accuracy:.3f}"
    ece = MISSING if not accuracy else f"{detail.ece:.3f}" + ("" if detail.plain_ece is None else f" ({before})")
    text = f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
    return AttributeRow(model, method, FIGURES[figure], text, plain, ece, found.overall.n)
