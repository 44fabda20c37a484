"""The curves of a run are there in the end, and not drawn after every short epoch."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from rapport_training import history
from rapport_training.history import History, Row

EPOCHS = 3


class Line(pl.LightningModule):
    """A straight line that is fitted."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch: list[torch.Tensor], index: int) -> torch.Tensor:
        loss = (self.layer(batch[0]) ** 2).mean()
        self.log("train/loss", loss)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.01)


def drawings(run: Path, **options: Any) -> list[int]:
    """How many epochs each drawing showed."""
    found: list[int] = []

    def draw(rows: list[Row]) -> bytes:
        found.append(len(rows))
        return b"a picture"

    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    trainer = pl.Trainer(default_root_dir=run, max_epochs=EPOCHS, callbacks=[History(run, draw)], **quiet)
    trainer.fit(Line(), DataLoader(TensorDataset(torch.ones(2, 1))), **options)
    trainer.save_checkpoint(run / "last.ckpt")
    assert (run / "curves.png").read_bytes() == b"a picture"
    return found


def test_short_epochs_are_drawn_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(history, "DRAW_EVERY_S", math.inf)  # however long a busy machine takes for an epoch
    assert drawings(tmp_path) == [EPOCHS]
    assert len((tmp_path / "history.csv").read_text().splitlines()) == 1 + EPOCHS
    again = drawings(tmp_path, ckpt_path=tmp_path / "last.ckpt")
    assert again == [EPOCHS], "killed after the last epoch and before its drawing"


def test_long_epochs_are_drawn_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(history, "DRAW_EVERY_S", 0.0)
    assert drawings(tmp_path) == [1, 2, 3]
