"""`rapport-train demographic fit`: from a recipe and prepared faces to a run folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging, LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch.utils.data import DataLoader
from torch.utils.data.distributed import DistributedSampler

from rapport_training.demographic.dataset import CaptionIndex, FaceCrops, use_one_opencv_thread
from rapport_training.demographic.faces import Faces, is_held_out
from rapport_training.demographic.module import ContrastiveModule
from rapport_training.demographic.recipe import Recipe

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


def fit(recipe: Recipe, recipe_path: Path, faces: Faces, run: Path, *, resume: bool, devices: int | str) -> Path:
    """Trains and returns the path of the last checkpoint, whose weights are the averaged ones.

    Args:
        recipe: what to compute.
        recipe_path: its file, copied into the run.
        faces: from `prepare`.
        devices: GPUs, or where there is none processes on the CPU; each sees its own share of every batch. On few
            cores two processes of one thread are faster than one of two threads.
        run: folder of this run: recipe.yaml, checkpoints/, metrics.csv, TensorBoard's events.
        resume: continue from the newest checkpoint in `run` if there is one; at most one epoch is computed again.
    """
    use_one_opencv_thread()
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // (devices if isinstance(devices, int) else 1)))
    pl.seed_everything(recipe.seed, workers=True, verbose=False)
    run.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(recipe_path, run / "recipe.yaml")
    held_out = is_held_out(faces.content, recipe.held_out)
    training = FaceCrops(faces, np.flatnonzero(~held_out), recipe.template(0), seed=recipe.seed)
    validation = FaceCrops(faces, np.flatnonzero(held_out), recipe.final_template, seed=None)
    trainer = _trainer(recipe, run, EpochOfCrops(training, validation, recipe), devices)
    # A permutation by seed and epoch alone, so that a resumed run sees the same order.
    sampler = DistributedSampler(
        training, trainer.world_size, trainer.global_rank, shuffle=True, seed=recipe.seed, drop_last=True
    )
    loader = _loader(training, recipe, trainer.world_size, sampler=sampler, drop_last=True)
    captions = {view: CaptionIndex(faces, view) for view in recipe.views}
    module = ContrastiveModule(recipe, captions, steps=recipe.epochs * len(loader))
    last = run / "checkpoints" / "last.ckpt"
    trainer.fit(
        module, loader, _loader(validation, recipe, 1), ckpt_path=str(last) if resume and last.is_file() else None
    )
    return last


def _loader(crops: FaceCrops, recipe: Recipe, world_size: int, **options: object) -> DataLoader[object]:
    return DataLoader(
        crops,
        batch_size=recipe.batch_size // world_size,
        num_workers=recipe.workers,
        collate_fn=lambda batch: batch,  # `__getitems__` returns the batch as it is
        pin_memory=torch.cuda.is_available(),
        **options,  # type: ignore[arg-type]
    )


def _trainer(recipe: Recipe, run: Path, epoch: Callback, devices: int | str) -> pl.Trainer:
    checkpoints = ModelCheckpoint(
        dirpath=run / "checkpoints", filename="{epoch:03d}", save_last=True, save_on_train_epoch_end=True
    )
    callbacks: list[Callback] = [epoch, checkpoints, LearningRateMonitor("step")]
    if recipe.ema_decay > 0:
        callbacks.append(EMAWeightAveraging(decay=recipe.ema_decay, update_every_n_steps=EMA_EVERY))
    return pl.Trainer(
        max_epochs=recipe.epochs,
        devices=devices,
        precision=recipe.precision,  # type: ignore[arg-type]
        gradient_clip_val=recipe.gradient_clip,
        callbacks=callbacks,
        logger=[CSVLogger(run, name="", version=""), TensorBoardLogger(run, name="", version="")],
        default_root_dir=run,
        log_every_n_steps=20,
        check_val_every_n_epoch=recipe.validate_every,
        use_distributed_sampler=False,
    )
