"""`rapport-train interest csft`: from a pre-trained encoder and a behaviour log to an encoder of interest."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import msgspec
from torch.utils.data import DataLoader

from rapport_edge.errors import SettingsError
from rapport_training.interest.content.catalogue import Catalogue, read_catalogue
from rapport_training.interest.content.centring import centre_projections
from rapport_training.interest.content.csft.bounds import Bounds
from rapport_training.interest.content.csft.category_module import CategoryModule
from rapport_training.interest.content.csft.module import CsftModule
from rapport_training.interest.content.csft.pairs import interest_pairs
from rapport_training.interest.content.language import saved_language_tower
from rapport_training.interest.content.network import ContentNetwork
from rapport_training.interest.content.pretraining.fit import plain_network
from rapport_training.interest.content.recipe import ContentRecipe, load_content_recipe
from rapport_training.interest.content.run import (
    LANGUAGE,
    ContentRecord,
    begin_run,
    checkpoint_of,
    load_weights,
    new_record,
    untrained_network,
)
from rapport_training.interest.content.training import Rows, make_trainer, row_loader
from rapport_training.interest.data.log import BehaviourLog
from rapport_training.run_folder import discard, is_finished, owned, read_record
from rapport_training.training_loop import train_in


def fit_csft(  # noqa: PLR0913 - what a training reads, and how
    recipe: ContentRecipe,
    log: BehaviourLog,
    run: Path,
    *,
    start: Path | None = None,
    bounds: Bounds | None = None,
    seed: int | None = None,
    resume: bool = True,
    devices: int | str = "auto",
) -> Path:
    """Fine-tunes an encoder on interest pairs, and returns the path of the checkpoint that the run is for.

    Args:
        recipe: what to compute.
        log: its events make the pairs.
        run: the folder of this run.
        start: a run of `fit_pretraining` with the same towers; None for the plain towers.
        bounds: which events teach; None for all.
        seed: instead of the recipe's.
        resume: continue from the newest checkpoint in `run`; at most one epoch is computed again. A run that has ended
            is not touched.
        devices: GPUs, or processes on the CPU; all share their negatives. Under torchrun, its processes are taken.

    Raises:
        RapportError: if an input is missing or does not fit, the log gives no pairs, or the folder holds another run.
    """
    recipe = recipe if seed is None else msgspec.structs.replace(recipe, seed=seed)
    bounds = bounds or Bounds()
    network, catalogue = _start(recipe, log, start)
    with owned(run):
        if not resume:
            discard(run)
        by_category = recipe.csft.signal == "category"
        trainer = _trainer(recipe, run, devices, patience=0 if by_category else recipe.csft.patience)
        found = _by_category if by_category else _by_pairs
        module, loaders, counts = found(recipe, network, catalogue, trainer, log, bounds)
        record = _record(log, start, bounds, {**catalogue.left_out(), **counts})
        begin_run(run, recipe, record, network.language)
        if not is_finished(run):
            train_in(run, trainer, module, *loaders)
    return checkpoint_of(run, recipe, record)


def _trainer(recipe: ContentRecipe, run: Path, devices: int | str, *, patience: int) -> pl.Trainer:
    settings = recipe.csft
    # Towers by name may have parameters that their pooled features do not use.
    return make_trainer(run, settings.epochs, settings.optimisation, devices, patience=patience, unused=True)


def _record(log: BehaviourLog, start: Path | None, bounds: Bounds, counts: dict[str, int]) -> ContentRecord:
    return new_record(
        stage="csft",
        vector="fused",
        log=log.digest,
        log_name=log.name,
        start="" if start is None else _digest(start),
        until=bounds.until,
        leave_last=bounds.leave_last,
        samples=bounds.samples,
        counts=counts,
    )


_Found = tuple[pl.LightningModule, list[DataLoader[Any]], dict[str, int]]


def _by_pairs(
    recipe: ContentRecipe,
    network: ContentNetwork,
    catalogue: Catalogue,
    trainer: pl.Trainer,
    log: BehaviourLog,
    bounds: Bounds,
) -> _Found:
    settings = recipe.csft
    pairs = interest_pairs(log, catalogue, settings, bounds)
    later = round(settings.validation_share * len(pairs))
    if settings.patience and later == 0:
        raise SettingsError("patience needs pairs to validate on: set validation_share above 0")
    training = len(pairs) - later
    loader = row_loader(training, settings.optimisation, recipe.seed, trainer, "interest pairs")
    module = CsftModule(recipe, network, catalogue, pairs, training)
    world = trainer.world_size
    module.prepare(int(loader.batch_size or 0) * world, settings.epochs * len(loader))
    loaders: list[DataLoader[Any]] = [loader]
    if later:
        batch = min(later, settings.optimisation.batch_size)
        loaders.append(DataLoader(Rows(later), batch, collate_fn=_as_it_is))
    return module, loaders, {**pairs.counts, "pairs to validate on": later}


def _by_category(
    recipe: ContentRecipe, network: ContentNetwork, catalogue: Catalogue, trainer: pl.Trainer, *_: Any
) -> _Found:
    module = CategoryModule(recipe, network, catalogue)
    loader = row_loader(len(module.items), recipe.csft.optimisation, recipe.seed, trainer, "items with a category")
    module.prepare(recipe.csft.epochs * len(loader))
    return module, [loader], {"items with a category": len(module.items)}


def _start(recipe: ContentRecipe, log: BehaviourLog, start: Path | None) -> tuple[ContentNetwork, Catalogue]:
    """The plain network, or a pre-trained one with a new fusion."""
    if start is None:
        network, catalogue = plain_network(recipe, log)
        centre_projections(network, catalogue, recipe.seed)
        return network, catalogue
    pl.seed_everything(recipe.seed, workers=True, verbose=False)
    before, record = load_content_recipe(start / "recipe.yaml"), read_record(start, ContentRecord)
    differing = [name for name in ("vision", "language", "width") if getattr(before, name) != getattr(recipe, name)]
    if differing:
        raise SettingsError(f"{start} has another {', '.join(differing)} than recipe {recipe.name}; take its recipe")
    language = saved_language_tower(recipe.language, start / LANGUAGE)
    network = untrained_network(recipe, language)
    load_weights(network, checkpoint_of(start, before, record), but=("fusion.", "output.", "logit_scale"))
    catalogue = read_catalogue(log, language, recipe.vision.image_size)
    if record.vector == "features":
        centre_projections(network, catalogue, recipe.seed)
    return network, catalogue


def _digest(start: Path) -> str:
    """Of the weights that training starts from."""
    checkpoint = checkpoint_of(start, load_content_recipe(start / "recipe.yaml"), read_record(start, ContentRecord))
    with checkpoint.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _as_it_is(batch: Any) -> Any:
    return batch
