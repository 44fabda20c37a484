"""The distribution of labels as a picture, like Fig. 2 of the demographic user modelling paper."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rapport_training.data.schema import LABELS, SPLITS
from rapport_training.data.summary import Summary, ordered_labels

DISTRIBUTION = "distribution.png"

_TITLES = {"age": "Age", "gender": "Gender", "race": "Ethnicity"}
_COLOURS = {"train": "#2f5d8a", "val": "#e09f3e", "test": "#6a994e"}
_BAR = 0.27  # of the distance between two labels
_LONG_LABEL, _LONG_WORD, _MANY_LABELS = 8, 11, 10


def plot_distribution(name: str, summary: Summary, path: Path) -> None:
    """Writes a PNG: one panel for each kind of label, in it the share of each label in each split.

    Args:
        name: of the data set, for the title.
        summary: the counts; a kind of label that no row has gets no panel.
        path: of the picture.
    """
    panels = {label: labels for label in LABELS if (labels := ordered_labels(summary, label)) != [""]}
    figure = Figure(figsize=(14, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    if panels:
        ratios = [max(len(labels), 2.5) for labels in panels.values()]
        axes = figure.subplots(1, len(panels), squeeze=False, width_ratios=ratios)[0]
        for panel, (label, labels) in zip(axes, panels.items(), strict=True):
            _plot_panel(panel, label, labels, summary)
        axes[0].set_ylabel("share of the split, %")
        handles, names = axes[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=len(SPLITS), frameon=False)
    total = sum(split.rows for split in summary.splits.values())
    figure.suptitle(f"{name}: {total:,} pictures", fontsize=14)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def _plot_panel(panel: Axes, label: str, labels: list[str], summary: Summary) -> None:
    for place, split in enumerate(SPLITS):
        counted = summary.splits[split]
        shares = [100.0 * counted.labels[label][name] / max(counted.rows, 1) for name in labels]
        centres = [index + (place - 1) * _BAR for index in range(len(labels))]
        panel.bar(centres, shares, _BAR, color=_COLOURS[split], label=f"{split} ({counted.rows:,})")
    _name_ticks(panel, labels)
    panel.set_title(_TITLES[label])
    panel.grid(axis="y", color="#dddddd", linewidth=0.8)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
    panel.set_xlim(-0.6, len(labels) - 0.4)
    panel.yaxis.set_major_locator(MaxNLocator(nbins=7, integer=True, steps=[1, 2, 5, 10]))


def _name_ticks(panel: Axes, labels: list[str]) -> None:
    """Short labels in one line, longer ones a word per line, many or long words slanted."""
    spoken = [name.replace("_", " / ").replace("more than ", "over ") or "(none)" for name in labels]
    if max(map(len, spoken)) > _LONG_LABEL:
        spoken = [name.replace(" / ", " /\n").replace(" ", "\n").replace("\n/", " /") for name in spoken]
    slanted = len(labels) > _MANY_LABELS or max(len(word) for name in spoken for word in name.split()) > _LONG_WORD
    panel.set_xticks(range(len(labels)), spoken, rotation=30 if slanted else 0, ha="right" if slanted else "center")
