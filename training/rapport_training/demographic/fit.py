"""`rapport-train demographic fit`: from a recipe and a data set to a run folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import lightning.pytorch as pl
import msgspec
import numpy as np
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.data.distributed import DistributedSampler

from rapport_edge.errors import SettingsError
from rapport_training.data.user_faces import UserFaces
from rapport_training.demographic.checkpoints import load_weights
from rapport_training.demographic.dataset import Batch, CaptionIndex, FaceCrops, crop_loader, use_one_opencv_thread
from rapport_training.demographic.model import check_crop_sizes
from rapport_training.demographic.module import ContrastiveModule
from rapport_training.demographic.recipe import Recipe
from rapport_training.demographic.run import begin_run, new_record, result_of, write_trained_on
from rapport_training.demographic.trainer import EpochOfCrops, make_trainer
from rapport_training.masked_image.head import checked_tower
from rapport_training.masked_image.tokenizers import load_image_tokenizer
from rapport_training.masked_image.tokens import tokens_of
from rapport_training.run_folder import discard, is_finished, owned
from rapport_training.training_loop import train_in


@dataclass(frozen=True)
class Inputs:
    """The files that a training reads.

    Attributes:
        data: folder of a data set, as `rapport-train data` writes it; "train" is trained on, "val" watched.
        weights: checkpoint to start from, where the recipe asks for one.
        image_tokenizer: for masked image modelling.
    """

    data: Path
    weights: Path | None = None
    image_tokenizer: Path | None = None


def fit(
    recipe: Recipe,
    inputs: Inputs,
    run: Path,
    *,
    seed: int | None = None,
    resume: bool = True,
    devices: int | str = "auto",
) -> Path:
    """Trains, and returns the path of the checkpoint that the run is for (`run.result_of`).

    Args:
        recipe: what to compute.
        inputs: what it reads.
        run: the folder of this run (`run`).
        seed: instead of the recipe's.
        resume: continue from the newest checkpoint in `run` if there is one; at most one epoch is computed again. A
            run that has ended is not touched.
        devices: GPUs, or where there is none processes on the CPU; each sees its own share of every batch, and all
            share their negatives. Under torchrun, its processes are taken instead.

    Raises:
        RapportError: if an input is missing or does not fit, the folder holds another run, the loss is no number, or
            the disk is full.
    """
    recipe = _settled(recipe, inputs, seed)
    use_one_opencv_thread()
    pl.seed_everything(recipe.seed, workers=True, verbose=False)
    faces = UserFaces.open(inputs.data, "train"), UserFaces.open(inputs.data, "val")
    training, validation = _crops(recipe, *faces)
    trainer = make_trainer(recipe, run, EpochOfCrops(training, validation, recipe), devices)
    loader = _training_loader(training, recipe, trainer)
    captions = [{view: CaptionIndex(split, view) for view in recipe.used_views} for split in faces]
    module = ContrastiveModule(recipe, *captions, steps=recipe.epochs * len(loader))
    check_crop_sizes(module.model, (stage.size for stage in recipe.stages))
    start = _load_inputs(module, recipe, inputs, training)
    with owned(run):
        if not resume:  # every process: none looks before another has tidied up, none writes before all have met
            discard(run)
        begin_run(run, recipe, new_record(inputs.data, *faces, start))
        write_trained_on(run, faces[0].content)
        if not is_finished(run):
            train_in(run, trainer, module, loader, crop_loader(validation, recipe.batch_size, recipe.workers))
    return result_of(run, recipe)


def _settled(recipe: Recipe, inputs: Inputs, seed: int | None) -> Recipe:
    """The recipe with its seed, if it has the weights that it starts from."""
    if recipe.weights and inputs.weights is None:
        raise SettingsError(f"recipe {recipe.name} starts from {recipe.weights}: name its file with --weights")
    return recipe if seed is None else msgspec.structs.replace(recipe, seed=seed)


def _crops(recipe: Recipe, training: UserFaces, validation: UserFaces) -> tuple[FaceCrops, FaceCrops]:
    return (
        FaceCrops(
            training,
            np.arange(len(training)),
            recipe.template(0),
            recipe.seed,
            recipe.augmentation,
            with_plain=recipe.masked_image is not None,
        ),
        FaceCrops(validation, np.arange(len(validation)), recipe.final_template, seed=None),
    )


def _load_inputs(module: ContrastiveModule, recipe: Recipe, inputs: Inputs, training: FaceCrops) -> dict[str, str]:
    """Weights and image tokens; the digests of the files that they come from."""
    loaded = None if inputs.weights is None else load_weights(module.model, inputs.weights)
    digests = {} if loaded is None else {"weights": loaded.digest}
    if recipe.masked_image is None:
        return digests
    if inputs.image_tokenizer is None:
        raise SettingsError(f"recipe {recipe.name} has masked_image: name a tokenizer's file with --image-tokenizer")
    tokenizer = load_image_tokenizer(inputs.image_tokenizer)
    grid = int(checked_tower(module.model.visual).grid_size[0])
    tokens = tokens_of(training.faces, recipe.final_template, tokenizer, grid, inputs.data / "tokens")
    module.add_masked_image(tokenizer.vocabulary, tokens)
    if loaded is not None and loaded.masked_image:
        load_head(module.masked_image, loaded.masked_image)
    return {**digests, "image_tokenizer": tokenizer.digest}


def load_head(head: nn.Module | None, tensors: Mapping[str, Tensor]) -> None:
    """Continues masked image modelling with the head that the weights' file holds.

    Raises:
        SettingsError: if it is of another size, as with another tokenizer's vocabulary.
    """
    assert head is not None
    try:
        head.load_state_dict(tensors)
    except RuntimeError as error:
        raise SettingsError(f"the weights' masked image head does not fit the tokenizer: {error}") from error


def _training_loader(training: FaceCrops, recipe: Recipe, trainer: pl.Trainer) -> DataLoader[Batch]:
    # A permutation by seed and epoch alone, so that a resumed run sees the same order.
    sampler = DistributedSampler(
        training, trainer.world_size, trainer.global_rank, shuffle=True, seed=recipe.seed, drop_last=True
    )
    if recipe.batch_size % trainer.world_size:
        raise SettingsError(
            f"{trainer.world_size} processes cannot share a batch of {recipe.batch_size} evenly; take other --devices "
            "or another batch_size"
        )
    share = recipe.batch_size // trainer.world_size
    loader = crop_loader(training, share, recipe.workers, sampler=sampler, drop_last=True)
    if len(loader) == 0:
        raise SettingsError(f"{len(training)} training faces do not fill one batch of {recipe.batch_size}")
    return loader
