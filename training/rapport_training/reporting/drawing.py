"""How plots look: colours, axes, one legend below all panels, PNG."""

from __future__ import annotations

import io
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure

#: Colours that also people tell apart who see no red or green (Okabe and Ito 2008).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#444444", "#F0E442")


def colours() -> list[str]:
    """`COLOURS`, repeated for many series."""
    return [*COLOURS] * 8


def clean(axes: Axes, along: Literal["x", "y"] = "y") -> None:
    """Takes off what says nothing, and puts a faint grid behind the data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=along, color="0.9")
    axes.set_axisbelow(True)


def legend(figure: Figure) -> None:
    """One legend for all panels, below them."""
    entries: dict[str, object] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    figure.legend(
        list(entries.values()),
        list(entries),
        loc="outside lower center",
        ncols=max(1, min(4, len(entries))),
        fontsize=8,
        frameon=False,
    )


def png(figure: Figure) -> bytes:
    """The figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
