"""The report's plots, each as the bytes of a PNG file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from rapport_training.interest.tables.record import CostRecord
from rapport_training.reporting.drawing import COLOURS, clean, colours, legend, png
from rapport_training.reporting.spread import Spread


def gains(rows: Mapping[str, Spread], papers: Mapping[str, float]) -> bytes:
    """Differences in AUC with their spread over seeds, the paper's as rings.

    Args:
        rows: by label.
        papers: likewise; may lack some.
    """
    figure = Figure(figsize=(8, 0.42 * len(rows) + 1.3), layout="constrained")
    axes = figure.subplots()
    for place, (label, found) in enumerate(rows.items()):
        first = place == 0
        axes.errorbar(
            found.mean,
            place,
            xerr=found.std,
            fmt="o",
            color=COLOURS[0],
            capsize=3,
            label="ours, mean and standard deviation over seeds" if first else None,
        )
        if label in papers:
            axes.plot(papers[label], place, "o", markerfacecolor="none", color=COLOURS[1], markersize=9)
    if papers:
        axes.plot([], [], "o", markerfacecolor="none", color=COLOURS[1], markersize=9, label="the paper's")
    axes.axvline(0, color="0.5", linewidth=1)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.invert_yaxis()
    axes.set_xlabel("difference in AUC")
    clean(axes, along="x")
    legend(figure)
    return png(figure)


def age_gains(series: Mapping[str, Sequence[Spread | None]], names: Sequence[str]) -> bytes:
    """Fig. 6: the gain of MIM by set of items, newest left; one line per model.

    Args:
        series: by model, one spread per set; None where a set has only one label.
        names: of the sets.
    """
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    axes = figure.subplots()
    for colour, (label, spreads) in zip(colours(), series.items(), strict=False):
        there = [(place, found) for place, found in enumerate(spreads) if found is not None]
        axes.errorbar(
            [place for place, _ in there],
            [found.mean for _, found in there],
            yerr=[found.std or 0.0 for _, found in there],
            fmt="o-",
            color=colour,
            capsize=2,
            markersize=4,
            linewidth=1,
            label=label,
        )
    axes.axhline(0, color="0.5", linewidth=1)
    axes.set_xticks(range(len(names)), names)
    axes.set(xlabel="items from the newest (S1) to the oldest", ylabel="gain in AUC")
    clean(axes)
    legend(figure)
    return png(figure)


def costs(rows: Sequence[CostRecord]) -> bytes:
    """Table 6 on logarithmic scales: GFLOPs per sample left, memory right."""
    figure = Figure(figsize=(10, 0.5 * len(rows) + 1.6), layout="constrained")
    titles = {"gflops": ("GFLOPs per sample", 1.0), "memory": ("peak memory of a step, MB", 1e6)}
    for axes, (name, (title, unit)) in zip(figure.subplots(1, 2, sharey=True), titles.items(), strict=True):
        for offset, phase in ((-0.18, "train"), (0.18, "inference")):
            found = [(place, getattr(row, phase)) for place, row in enumerate(rows) if getattr(row, phase) is not None]
            axes.barh(
                [place + offset for place, _ in found],
                [max(getattr(one, name), 1e-9) / unit for _, one in found],
                0.34,
                color=COLOURS[0 if phase == "train" else 1],
                label={"train": "training", "inference": "inference"}[phase],
            )
        axes.set(xscale="log", title=title)
        axes.set_yticks(range(len(rows)), [row.label for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        clean(axes, along="x")
    legend(figure)
    return png(figure)
