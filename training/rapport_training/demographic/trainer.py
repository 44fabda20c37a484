"""Lightning's trainer as a recipe wants it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import lightning.pytorch as pl
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    EMAWeightAveraging,
    LearningRateMonitor,
)
from lightning.pytorch.loggers import TensorBoardLogger

from rapport_training.demographic.dataset import FaceCrops
from rapport_training.demographic.recipe import Recipe
from rapport_training.history import History
from rapport_training.run_folder import BEST, LAST
from rapport_training.training_loop import checkpoint_callback, placement

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
    return pl.Trainer(
        max_epochs=recipe.epochs,
        **placement(devices),
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
    yield checkpoint_callback(run, LAST)
    if recipe.patience:
        yield EarlyStopping("val/loss", patience=recipe.patience, check_on_train_epoch_end=False)
        yield checkpoint_callback(run, BEST, monitor="val/loss", every_n_epochs=recipe.validate_every)
    if recipe.ema_decay > 0:
        yield EMAWeightAveraging(decay=recipe.ema_decay, update_every_n_steps=EMA_EVERY)
