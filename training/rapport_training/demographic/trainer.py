"""Lightning's trainer as a recipe wants it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    EMAWeightAveraging,
    LearningRateMonitor,
    ModelCheckpoint,
)
from lightning.pytorch.loggers import TensorBoardLogger

from rapport_training.demographic.dataset import FaceCrops
from rapport_training.demographic.history import History
from rapport_training.demographic.recipe import Recipe
from rapport_training.demographic.run import BEST, LAST

#: Steps between updates of the moving average: every step would cost a twentieth of the training on a CPU.
EMA_EVERY = 4


class EpochOfCrops(Callback):
    """Tells the data sets which epoch it is: augmentation and crop size follow from it."""

    def __init__(self, training: FaceCrops, validation: FaceCrops, recipe: Recipe) -> None:
        self._training, self._validation, self._recipe = training, validation, recipe

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Before the first batch is made."""
        self._training.epoch = trainer.current_epoch
        # A network knows faces of the size that it is trained on, so that is also the one to watch it with.
        self._training.template = self._validation.template = self._recipe.template(trainer.current_epoch)


def make_trainer(recipe: Recipe, run: Path, epoch: Callback, devices: int | str) -> pl.Trainer:
    """A trainer that logs into, keeps checkpoints in and resumes from a run folder.

    Args:
        recipe: epochs, precision, averaging, early stopping.
        run: the folder.
        epoch: an `EpochOfCrops`.
        devices: a number or "auto"; under torchrun its processes are taken instead.
    """
    local = os.environ.get("LOCAL_WORLD_SIZE") if "TORCHELASTIC_RUN_ID" in os.environ else None
    count = int(local) if local else devices
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // (count if isinstance(count, int) else 1)))
    return pl.Trainer(
        max_epochs=recipe.epochs,
        devices=count,
        num_nodes=int(os.environ.get("GROUP_WORLD_SIZE", "1")) if local else 1,
        precision=recipe.precision,  # type: ignore[arg-type]
        gradient_clip_val=recipe.gradient_clip or None,
        callbacks=[epoch, *_callbacks(recipe, run)],
        logger=TensorBoardLogger(run, name="", version=""),
        default_root_dir=run,
        log_every_n_steps=20,
        check_val_every_n_epoch=recipe.validate_every,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )


def _callbacks(recipe: Recipe, run: Path) -> Iterator[Callback]:
    yield History(run)
    yield LearningRateMonitor("step")
    yield _checkpoint(run, LAST)
    if recipe.patience:
        yield EarlyStopping("val/loss", patience=recipe.patience, check_on_train_epoch_end=False)
        yield _checkpoint(run, BEST, monitor="val/loss", every_n_epochs=recipe.validate_every)
    if recipe.ema_decay > 0:
        yield EMAWeightAveraging(decay=recipe.ema_decay, update_every_n_steps=EMA_EVERY)


def _checkpoint(run: Path, name: str, **options: Any) -> ModelCheckpoint:
    return ModelCheckpoint(
        run / "checkpoints",
        filename=Path(name).stem,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
        **options,
    )
