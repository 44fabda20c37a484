"""A run's curves: validation AUC and the losses by epoch."""

from __future__ import annotations

import io

from rapport_training.history import Row


def draw_ctr_curves(rows: list[Row]) -> bytes:
    """A PNG file with two panels; the epoch of the highest AUC is marked."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 6.0), dpi=120, layout="constrained")
    above, below = figure.subplots(2, sharex=True)
    epochs = [row["epoch"] + 1 for row in rows]
    above.plot(epochs, [row["val/auc"] for row in rows], marker="o", markersize=3, label="validation")
    below.plot(epochs, [row["train/loss"] for row in rows], marker="o", markersize=3, label="training")
    below.plot(epochs, [row["val/log_loss"] for row in rows], marker="o", markersize=3, label="validation")
    best = max(rows, key=lambda row: row["val/auc"])["epoch"] + 1
    above.axvline(best, color="0.6", linestyle=":", label=f"highest: epoch {best:.0f}")
    above.set(ylabel="AUC")
    below.set(ylabel="log loss, nats", xlabel="epoch")
    below.xaxis.get_major_locator().set_params(integer=True)
    for axes in (above, below):
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()
