"""`rapport-train interest fit`: from a recipe and prepared samples to a run folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import lightning.pytorch as pl
import msgspec
import numpy as np
from lightning.pytorch.callbacks import Callback, EarlyStopping
from lightning.pytorch.loggers import TensorBoardLogger

from rapport_edge.errors import SettingsError
from rapport_training.history import History
from rapport_training.interest.batch import Batch
from rapport_training.interest.ctr.ctr_model import CtrModel
from rapport_training.interest.ctr.curves import draw_ctr_curves
from rapport_training.interest.ctr.module import CtrModule
from rapport_training.interest.ctr.recipe import CtrRecipe
from rapport_training.interest.ctr.run import begin_ctr, result_of
from rapport_training.interest.data.batches import batch_count, batches
from rapport_training.interest.data.content_table import ContentTable
from rapport_training.interest.data.prepared import PreparedLog
from rapport_training.run_folder import BEST, LAST, discard, is_finished, owned
from rapport_training.training_loop import checkpoint_callback, placement, train_in


class SplitBatches:
    """Lightning's loader of a split: a new order every epoch in training, that of the file in validation."""

    def __init__(
        self,
        prepared: PreparedLog,
        recipe: CtrRecipe,
        content: ContentTable | None,
        trainer: pl.Trainer | None,
    ) -> None:
        """Training where there is a trainer, which knows the epoch and the process; else validation."""
        self._prepared, self._recipe, self._content, self._trainer = prepared, recipe, content, trainer

    def __len__(self) -> int:
        """Batches."""
        split = "validation" if self._trainer is None else "train"
        rows, world = len(self._prepared.samples(split)), 1 if self._trainer is None else self._trainer.world_size
        return batch_count(rows, self._recipe.batch_size, world, training=self._trainer is not None)

    def __iter__(self) -> Iterator[Batch]:
        """The epoch is asked for when the first batch is: Lightning makes iterators before it counts."""
        trainer, recipe = self._trainer, self._recipe
        yield from batches(
            self._prepared,
            "validation" if trainer is None else "train",
            batch_size=recipe.batch_size,
            history_length=recipe.history_length,
            seed=None if trainer is None else recipe.seed * 100_003 + trainer.current_epoch,
            content=self._content,
            rank=0 if trainer is None else trainer.global_rank,
            world=1 if trainer is None else trainer.world_size,
        )


def fit_ctr(  # noqa: PLR0913 - what is read, and how it runs
    recipe: CtrRecipe,
    prepared: PreparedLog,
    run: Path,
    *,
    content: ContentTable | None = None,
    seed: int | None = None,
    resume: bool = True,
    devices: int | str = "auto",
    progress: bool = True,
    callbacks: Sequence[Callback] = (),
) -> Path:
    """Trains, and returns the path of the checkpoint that the run is for (`run.result_of`).

    Args:
        recipe: what to compute.
        prepared: "train" is trained on, "validation" watched.
        run: the folder of this run.
        content: the items' multi-modal embeddings, for recipes with MIM's modules; others do not read it.
        seed: instead of the recipe's.
        resume: continue from the newest checkpoint in `run` if there is one; at most one epoch is computed again, and
            with the same numbers. A run that has ended is not touched.
        devices: GPUs, or processes on the CPU, each with its share of every batch. Under torchrun, its processes.
        progress: show a bar.
        callbacks: more of Lightning's.

    Raises:
        RapportError: if content is missing or no number, the folder holds another run, the loss is no number, or the
            disk is full.
    """
    recipe = recipe if seed is None else msgspec.structs.replace(recipe, seed=seed)
    content = content if recipe.uses_content else None
    pl.seed_everything(recipe.seed, workers=True, verbose=False)
    trainer = _trainer(recipe, run, devices, progress=progress, more=callbacks)
    training = SplitBatches(prepared, recipe, content, trainer)
    validation = SplitBatches(prepared, recipe, content, None)
    _check_samples(prepared, training, validation)
    model = new_model(recipe, prepared, content)
    with owned(run):
        if not resume:  # every process: none looks before another has tidied up, none writes before all have met
            discard(run)
        begin_ctr(run, recipe, prepared, content)
        if not is_finished(run):
            train_in(run, trainer, CtrModule(recipe, model, prepared.item_ids), training, validation)
    return result_of(run, recipe)


def _check_samples(prepared: PreparedLog, training: SplitBatches, validation: SplitBatches) -> None:
    """Refuses before an epoch what cannot be measured after it."""
    if len(training) == 0 or len(validation) == 0:
        raise SettingsError(f"{prepared.path} lacks training or validation samples")
    for split in ("train", "validation"):
        label = prepared.samples(split).label  # type: ignore[arg-type]
        clicked = label >= 0.5
        if clicked.all() or not clicked.any():
            which = "liked" if clicked.any() else "not liked"
            raise SettingsError(
                f"all {len(label)} samples of {prepared.path}, {split}, are {which}, of which nothing can be learned "
                "or measured; prepare it with other shares, another protocol or sampled negatives"
            )


def new_model(recipe: CtrRecipe, prepared: PreparedLog, content: ContentTable | None) -> CtrModel:
    """A model with random weights that knows the items and users of prepared samples."""
    return CtrModel(
        recipe,
        prepared.item_fields,
        np.array(prepared.item_values),
        prepared.user_fields,
        np.array(prepared.user_values),
        None if content is None else content.dimension,
    )


def _trainer(
    recipe: CtrRecipe, run: Path, devices: int | str, *, progress: bool, more: Sequence[Callback]
) -> pl.Trainer:
    """A trainer that keeps checkpoints in, logs into and resumes from a run folder."""
    callbacks = [History(run, draw_ctr_curves), checkpoint_callback(run, LAST), *more]
    if recipe.patience:
        callbacks.append(EarlyStopping("val/auc", mode="max", patience=recipe.patience, check_on_train_epoch_end=False))
        callbacks.append(checkpoint_callback(run, BEST, monitor="val/auc", mode="max"))
    return pl.Trainer(
        max_epochs=recipe.epochs,
        **placement(devices),
        precision=recipe.precision,  # type: ignore[arg-type]
        callbacks=callbacks,
        logger=TensorBoardLogger(run, name="", version=""),
        default_root_dir=run,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        log_every_n_steps=20,
        enable_progress_bar=progress,
        enable_model_summary=progress,
    )
