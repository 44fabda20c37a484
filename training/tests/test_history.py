"""The curves of a run are there in the end, and not drawn after every short epoch."""

from __future__ import annotations

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
    """A straight line that is fitted; Ctrl-C comes in an epoch, if any."""

    def __init__(self, ctrl_c: int | None = None) -> None:
        super().__init__()
        self.layer, self.ctrl_c = torch.nn.Linear(1, 1), ctrl_c

    def training_step(self, batch: list[torch.Tensor], index: int) -> torch.Tensor:
        if self.current_epoch == self.ctrl_c:
            raise KeyboardInterrupt
        loss = (self.layer(batch[0]) ** 2).mean()
        self.log("train/loss", loss)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.01)


def drawings(run: Path, module: pl.LightningModule, **options: Any) -> list[int]:
    """How many epochs each drawing showed."""
    found: list[int] = []

    def draw(rows: list[Row]) -> bytes:
        found.append(len(rows))
        return b"a picture"

    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    trainer = pl.Trainer(default_root_dir=run, max_epochs=EPOCHS, callbacks=[History(run, draw)], **quiet)
    try:
        trainer.fit(module, DataLoader(TensorDataset(torch.ones(2, 1))), **options)
    except SystemExit:
        assert (run / "curves.png").read_bytes() == b"a picture"
    else:
        trainer.save_checkpoint(run / "last.ckpt")
    return found


def test_short_epochs_are_drawn_in_the_end(tmp_path):
    assert drawings(tmp_path, Line()) == [EPOCHS]
    assert len((tmp_path / "history.csv").read_text().splitlines()) == 1 + EPOCHS
    again = drawings(tmp_path, Line(), ckpt_path=tmp_path / "last.ckpt")
    assert again == [EPOCHS], "killed after the last epoch and before its drawing"


def test_long_epochs_are_drawn_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(history, "DRAW_EVERY_S", 0.0)
    assert drawings(tmp_path, Line()) == [1, 2, 3]


def test_ctrl_c_leaves_what_there_is(tmp_path):
    assert drawings(tmp_path, Line(ctrl_c=2)) == [2]
