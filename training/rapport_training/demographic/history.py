"""The figures of every epoch, kept in the checkpoint, written as CSV and drawn as in the paper's Fig. 4."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

from rapport_edge.atomic import write_atomically

Row = dict[str, float]


class History(Callback):
    """Collects what was logged, one row an epoch; a resumed run goes on with the rows that its checkpoint holds.

    Attributes:
        rows: epoch, seconds (of training and validation together), and every figure that was logged.
    """

    def __init__(self, run: Path) -> None:
        self.rows: list[Row] = []
        self._run = run
        self._started = 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts the clock."""
        self._started = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes history.csv and curves.png anew."""
        row: Row = {"epoch": trainer.current_epoch, "seconds": round(time.monotonic() - self._started, 2)}
        row |= {name: float(value) for name, value in trainer.callback_metrics.items() if not name.endswith("_step")}
        self.rows.append(row)
        if trainer.is_global_zero:
            write_atomically(self._run / "history.csv", history_csv(self.rows))
            write_atomically(self._run / "curves.png", draw_curves(self.rows))

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """What a checkpoint kept."""
        self.rows = list(state_dict["rows"])


def history_csv(rows: list[Row]) -> bytes:
    """One line an epoch; a figure that an epoch lacks, because it was not validated, is empty."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def draw_curves(rows: list[Row]) -> bytes:
    """Training and validation loss by epoch, with the epoch of the lowest validation loss marked: a PNG file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.0), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    parts = sorted({name for row in rows for name in row if name.endswith(("/loss", "/loss_masked_image"))})
    for name in parts:
        points = [(row["epoch"] + 1, row[name]) for row in rows if name in row]
        axes.plot(*zip(*points, strict=True), marker="o", markersize=3, label=name.replace("/", " ").replace("_", " "))
    validated = [row for row in rows if "val/loss" in row]
    if validated:
        best = min(validated, key=lambda row: row["val/loss"])
        axes.axvline(best["epoch"] + 1, color="0.6", linestyle=":", label=f"best: epoch {best['epoch'] + 1:.0f}")
    axes.set(xlabel="epoch", ylabel="loss, nats")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()
