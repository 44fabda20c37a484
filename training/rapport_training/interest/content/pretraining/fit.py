"""`rapport-train interest pretrain`: from a recipe and a behaviour log to a run folder."""

from __future__ import annotations

import io
from pathlib import Path

import lightning.pytorch as pl
import msgspec
import numpy as np
import torch

from rapport_edge.atomic import write_atomically
from rapport_training.interest.content.catalogue import Catalogue, read_catalogue, titles_of
from rapport_training.interest.content.language import new_language_tower
from rapport_training.interest.content.network import ContentNetwork
from rapport_training.interest.content.pretraining.catalogue_tokens import catalogue_tokens, tokenizer_for
from rapport_training.interest.content.pretraining.module import PretrainingModule
from rapport_training.interest.content.recipe import ContentRecipe
from rapport_training.interest.content.run import PREFIX, ContentRecord, begin_run, checkpoint_of, new_record
from rapport_training.interest.content.training import make_trainer, row_loader
from rapport_training.interest.content.vision import VisionTower
from rapport_training.interest.data.log import BehaviourLog
from rapport_training.masked_image.timm_head import TimmMaskedImageHead
from rapport_training.run_folder import LAST, discard, is_finished, mark_finished, owned
from rapport_training.training_loop import train_in


def fit_pretraining(
    recipe: ContentRecipe,
    log: BehaviourLog,
    run: Path,
    *,
    seed: int | None = None,
    resume: bool = True,
    devices: int | str = "auto",
    image_tokenizer: Path | None = None,
) -> Path:
    """Adapts both towers to a catalogue (DDA), aligns them (DMA), and returns the checkpoint's path.

    With no epochs of either, the run holds the plain foundation models: published weights, or random ones.

    Args:
        recipe: what to compute.
        log: whose items to learn from; its events are not read.
        run: the folder of this run.
        seed: instead of the recipe's.
        resume: continue from the newest checkpoint in `run`; at most one epoch is computed again. A run that has ended
            is not touched.
        devices: GPUs, or processes on the CPU. Under torchrun, its processes are taken instead.
        image_tokenizer: whose tokens masked image modelling predicts; None to train one on the catalogue.

    Raises:
        RapportError: if an input is missing or does not fit, or the folder holds another run.
    """
    recipe = recipe if seed is None else msgspec.structs.replace(recipe, seed=seed)
    network, catalogue = plain_network(recipe, log)
    settings = recipe.pretraining
    with owned(run):
        if not resume:
            discard(run)
            (run / "images.safetensors").unlink(missing_ok=True)
        trainer = make_trainer(run, settings.epochs, settings.optimisation, devices, unused=True)
        rows = int(catalogue.complete.sum())
        loader = row_loader(rows, settings.optimisation, recipe.seed, trainer, "items with picture and title")
        module = PretrainingModule(recipe, network, catalogue, len(loader))
        digest = _add_masked_image(module, log, catalogue, run, image_tokenizer)
        record = _record(recipe, log, digest, catalogue.left_out())
        begin_run(run, recipe, record, network.language)
        if not is_finished(run):
            train_in(run, trainer, module, loader) if settings.epochs else _write_plain(network, run)
    return checkpoint_of(run, recipe, record)


def _record(recipe: ContentRecipe, log: BehaviourLog, image_tokenizer: str, counts: dict[str, int]) -> ContentRecord:
    return new_record(
        stage="pretraining",
        vector="aligned" if recipe.pretraining.dma_epochs else "features",
        log=log.digest,
        log_name=log.name,
        image_tokenizer=image_tokenizer,
        counts=counts,
    )


def _add_masked_image(
    module: PretrainingModule, log: BehaviourLog, catalogue: Catalogue, run: Path, image_tokenizer: Path | None
) -> str:
    """The head and the tokens, where the recipe has masked images; the tokenizer's digest."""
    recipe = module.recipe
    settings = recipe.pretraining
    if settings.masked_image is None or settings.dda_epochs == 0:
        return ""
    tokenizer = tokenizer_for(recipe, catalogue.pictures, run, image_tokenizer)
    trunk = module.network.vision.trunk
    # A generator of its own: whether the tokens were cached or computed first must not change the weights.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        head = TimmMaskedImageHead(
            trunk, recipe.vision.image_size, tokenizer.vocabulary, settings.patch, settings.masked_image.layers
        )
    rows = np.flatnonzero(catalogue.complete)
    module.add_masked_image(head, catalogue_tokens(log, catalogue.pictures, rows, tokenizer, head.grid))
    return tokenizer.digest


def plain_network(recipe: ContentRecipe, log: BehaviourLog) -> tuple[ContentNetwork, Catalogue]:
    """The towers before any training here, with new projections and fusion, and the catalogue that they will see."""
    pl.seed_everything(recipe.seed, workers=True, verbose=False)
    language = new_language_tower(recipe.language, titles_of(log))
    catalogue = read_catalogue(log, language, recipe.vision.image_size)
    return ContentNetwork(recipe, VisionTower(recipe.vision), language), catalogue


def _write_plain(network: ContentNetwork, run: Path) -> None:
    buffer = io.BytesIO()
    torch.save({"state_dict": {PREFIX + key: value for key, value in network.state_dict().items()}}, buffer)
    (run / "checkpoints").mkdir(exist_ok=True)
    write_atomically(run / "checkpoints" / LAST, buffer.getvalue())
    mark_finished(run)
