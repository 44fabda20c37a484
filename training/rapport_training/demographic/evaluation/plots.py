"""The report's plots, each as the bytes of a PNG file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rapport_edge.evaluation.report import GroupFigures
from rapport_edge.labels import AGE_BINS
from rapport_training.demographic.evaluation.attributes import Attributes
from rapport_training.demographic.evaluation.result import Result
from rapport_training.reporting.drawing import COLOURS, clean, colours, legend, png
from rapport_training.reporting.spread import Spread

#: What a figure of `GroupFigures` is called on an axis.
FIGURES = {
    "gender_accuracy": "gender accuracy",
    "age_bin_accuracy": "age bin accuracy",
    "race_accuracy": "race accuracy",
    "age_mae": "age error, years",
}

#: Models by their title, in the order of the legend.
Named = Mapping[str, Attributes]


def group_bars(named: Named, column: str) -> bytes:
    """Each figure of each group with its 95 % interval; one panel per figure."""
    present = _present(named)
    figure = Figure(figsize=(10, 2.4 * len(present) + 0.7), layout="constrained")
    groups = list(dict.fromkeys(group for found in named.values() for group in found.groups.get(column, {})))
    for axes, name in zip(np.atleast_1d(figure.subplots(len(present), 1, sharex=True)), present, strict=True):
        for place, (title, found) in enumerate(named.items()):
            bars = [found.groups.get(column, {}).get(group) for group in groups]
            _bars(axes, bars, name, (place, len(named), title))
        axes.set_ylabel(FIGURES[name])
        axes.set_xticks(
            range(len(groups)),
            groups,
            rotation=30 if len(groups) > 4 else 0,
            ha="right" if len(groups) > 4 else "center",
        )
        clean(axes)
    legend(figure)
    return png(figure)


def zero_shot_and_probe(zero: Named, probe: Named) -> bytes:
    """Zero-shot above a linear probe, overall; one panel per figure."""
    present, titles = _present(zero), list(zero)
    figure = Figure(figsize=(10.5, 0.42 * len(titles) + 1.7), layout="constrained")
    for axes, name in zip(np.atleast_1d(figure.subplots(1, len(present), sharey=True)), present, strict=True):
        for place, (kind, named) in enumerate({"zero-shot": zero, "linear probe": probe}.items()):
            bars = [named[title].overall if title in named else None for title in titles]
            _bars(axes, bars, name, (place, 2, kind), horizontal=True)
        axes.set_title(FIGURES[name], fontsize=10)
        axes.set_yticks(range(len(titles)), titles, fontsize=8)
        axes.set_ylim(len(titles) - 0.5, -0.5)
        clean(axes, along="x")
    legend(figure)
    return png(figure)


def calibration_curves(named: Named) -> bytes:
    """Accuracy against confidence of the top label; the diagonal is a model that knows what it knows."""
    attributes = list(dict.fromkeys(name for found in named.values() for name in found.attributes))
    figure = Figure(figsize=(3.4 * len(attributes) + 0.4, 4.2), layout="constrained")
    for axes, attribute in zip(np.atleast_1d(figure.subplots(1, len(attributes))), attributes, strict=True):
        axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
        for colour, (title, found) in zip(colours(), named.items(), strict=False):
            points = found.attributes[attribute].reliability if attribute in found.attributes else []
            axes.plot(
                [p.confidence for p in points],
                [p.accuracy for p in points],
                "o-",
                color=colour,
                label=title,
                markersize=4,
            )
        axes.set(title=attribute, xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1), aspect="equal")
        clean(axes)
    legend(figure)
    return png(figure)


def age_confusion(named: Named) -> bytes:
    """Share of the faces of each true age bin (rows) that get each answer."""
    columns = min(3, len(named))
    rows = -(-len(named) // columns)
    figure = Figure(figsize=(4.1 * columns, 3.9 * rows), layout="constrained")
    panels = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    for axes in panels[len(named) :]:
        axes.set_axis_off()
    for axes, (title, found) in zip(panels, named.items(), strict=False):
        counts = np.array(found.attributes["age"].confusion, dtype=float)
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        _heat(axes, shares, AGE_BINS, AGE_BINS, percent=True)
        axes.set_title(title, fontsize=9)
        axes.set(xlabel="answer", ylabel="true age")
    return png(figure)


def cross_heat_map(
    matrix: Mapping[tuple[str, str], Mapping[str, Spread | None]],
    rows: Sequence[str],
    columns: Sequence[str],
    title: str,
) -> bytes:
    """Accuracy by what a model was trained on (rows) and what it was tested on (columns)."""
    values = np.array([[np.nan if cell is None else cell.mean for cell in row.values()] for row in matrix.values()])
    figure = Figure(figsize=(1.6 * len(columns) + 3.6, 0.5 * len(rows) + 1.4), layout="constrained")
    axes = figure.subplots()
    _heat(axes, values, columns, rows)
    axes.set_title(title, fontsize=10)
    return png(figure)


def retrieval_by_pool(results: Mapping[str, Result]) -> bytes:
    """Accuracy as the pool grows, with chance and the ceiling of equal captions."""
    figure = Figure(figsize=(10, 3.9), layout="constrained")
    matches = {"image": "exact image", "profile": "same profile"}
    for axes, (match, title) in zip(figure.subplots(1, 2, sharey=True), matches.items(), strict=True):
        for colour, (name, result) in zip(colours(), results.items(), strict=False):
            axes.plot(*_curve(result, match, "accuracy"), "o-", color=colour, label=name, markersize=4)
        any_result = next(iter(results.values()))
        axes.plot(*_curve(any_result, match, "chance"), ":", color="0.4", label="chance")
        axes.plot(*_curve(any_result, match, "ceiling"), "--", color="0.4", label="ceiling of equal captions")
        axes.set(
            title=title,
            xlabel="pictures in the pool",
            ylabel="accuracy" if match == "image" else "",
            xscale="log",
            ylim=(0, 1.02),
        )
        clean(axes)
    legend(figure)
    return png(figure)


def _curve(result: Result, match: str, name: str) -> tuple[list[int], list[float]]:
    found = [(one.setting.pool, one.figures) for one in result.by_pool if one.setting.match == match]
    sizes = [figures.queries if pool == "whole" else int(pool) for pool, figures in found]
    return sizes, [float(getattr(figures, name)) for _, figures in found]


def _bars(
    axes: Axes,
    bars: Sequence[GroupFigures | None],
    name: str,
    series: tuple[int, int, str],
    *,
    horizontal: bool = False,
) -> None:
    """One series of grouped bars; `series` is its place, the number of series and its title."""
    place, count, title = series
    width = 0.8 / count
    draw, error = (axes.barh, "xerr") if horizontal else (axes.bar, "yerr")
    for index, found in enumerate(bars):
        value = None if found is None else getattr(found, name)
        if found is None or value is None:
            continue
        low, high = found.intervals[name]
        draw(
            index + (place - (count - 1) / 2) * width,
            value,
            width,
            color=COLOURS[place % len(COLOURS)],
            error_kw={"elinewidth": 0.8, "ecolor": "0.25"},
            label=title if index == 0 else None,
            **{error: [[max(0.0, value - low)], [max(0.0, high - value)]]},
        )


def _heat(
    axes: Axes, values: np.ndarray, columns: Sequence[str], rows: Sequence[str], *, percent: bool = False
) -> None:
    axes.imshow(np.ma.masked_invalid(values), cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(columns)), columns, rotation=40, ha="right", fontsize=8)
    axes.set_yticks(range(len(rows)), rows, fontsize=8)
    for row, column in np.ndindex(*values.shape):
        value = values[row, column]
        text = "–" if np.isnan(value) else f"{100 * value:.0f}" if percent else f"{value:.3f}"
        axes.text(column, row, text, ha="center", va="center", fontsize=7, color="white" if value > 0.55 else "black")


def _present(named: Named) -> list[str]:
    """Figures that at least one model has."""
    return [name for name in FIGURES if any(getattr(found.overall, name) is not None for found in named.values())]
