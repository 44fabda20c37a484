"""The figures of every epoch, kept in the checkpoint, written as CSV and drawn as in the paper's Fig. 4."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

from rapport_edge.atomic import write_atomically

Row = dict[str, float]

#: Drawing takes about as long as a short epoch of a small model, hence not after every one.
DRAW_EVERY_S = 10.0


class History(Callback):
    """Collects what was logged, one row an epoch; a resumed run goes on with the rows that its checkpoint holds.

    Attributes:
        rows: epoch, seconds (of training and validation together), and every figure that was logged.
    """

    def __init__(self, run: Path, draw: Callable[[list[Row]], bytes] | None = None) -> None:
        """Args are the run's folder, and what draws curves.png; by default `draw_curves`."""
        self.rows: list[Row] = []
        self._run, self._draw = run, draw or draw_curves
        self._started = 0.0
        self._drawn = 0.0
        self._undrawn = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts the clock of the drawings."""
        self._drawn = time.monotonic()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts the epoch's clock."""
        self._started = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes history.csv anew, and curves.png where the last one is `DRAW_EVERY_S` old."""
        row: Row = {"epoch": trainer.current_epoch, "seconds": round(time.monotonic() - self._started, 2)}
        row |= {name: float(value) for name, value in trainer.callback_metrics.items() if not name.endswith("_step")}
        self.rows.append(row)
        if trainer.is_global_zero:
            write_atomically(self._run / "history.csv", history_csv(self.rows))
            self._undrawn = True
            if time.monotonic() - self._drawn >= DRAW_EVERY_S:
                self._write_curves()

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Draws the last epochs."""
        if trainer.is_global_zero:
            self._write_curves()

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """What a checkpoint kept."""
        self.rows = list(state_dict["rows"])
        self._undrawn = True

    def _write_curves(self) -> None:
        if self._undrawn:
            write_atomically(self._run / "curves.png", self._draw(self.rows))
            self._drawn, self._undrawn = time.monotonic(), False


def history_csv(rows: list[Row]) -> bytes:
    """One line an epoch; a figure that an epoch lacks, because it was not validated, is empty."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def draw_curves(rows: list[Row]) -> bytes:
    """The paper's Fig. 4, a PNG file: contrastive loss in training and validation by epoch, the best epoch marked.

    Masked image modelling, which validation does not measure, has a panel of its own.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = [{"train/contrastive": "training", "val/loss": "validation"}]
    if any("train/masked_image" in row for row in rows):
        panels.append({"train/masked_image": "masked image modelling, training"})
    figure = Figure(figsize=(6.4, 3.4 * len(panels)), dpi=120, layout="constrained")
    all_axes = figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0]
    for axes, lines in zip(all_axes, panels, strict=True):
        for name, label in lines.items():
            points = [(row["epoch"] + 1, row[name]) for row in rows if name in row]
            axes.plot([x for x, _ in points], [y for _, y in points], marker="o", markersize=3, label=label)
        axes.set(ylabel="loss, nats")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
    validated = [row for row in rows if "val/loss" in row]
    if validated:
        best = min(validated, key=lambda row: row["val/loss"])["epoch"] + 1
        all_axes[0].axvline(best, color="0.6", linestyle=":", label=f"lowest in validation: epoch {best:.0f}")
    for axes in all_axes:
        axes.legend(frameon=False, loc="upper right")
    all_axes[-1].set(xlabel="epoch")
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()
