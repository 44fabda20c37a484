"""The tokens that masked image modelling predicts, of a catalogue's pictures instead of faces."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim import Adam
from torch.optim.lr_scheduler import CosineAnnealingLR
from tqdm import tqdm

from rapport_training.errors import TrainingError
from rapport_training.interest.content.pictures import Pictures
from rapport_training.interest.content.recipe import ContentRecipe
from rapport_training.interest.data.log import BehaviourLog
from rapport_training.masked_image.tokenizers import ImageTokenizer, load_image_tokenizer
from rapport_training.masked_image.tokenizers.autoencoder import AutoencoderConfig, DiscreteAutoencoder
from rapport_training.masked_image.tokenizers.base import unit_pixels
from rapport_training.masked_image.tokenizers.loading import save_autoencoder
from rapport_training.masked_image.tokens import Tokens, cached_tokens, locked

_CHUNK = 256
_BATCH = 64


def tokenizer_for(recipe: ContentRecipe, pictures: Pictures, run: Path, file: Path | None) -> ImageTokenizer:
    """A tokenizer from a file, or one trained on the catalogue and kept as images.safetensors in the run's folder.

    Of several processes one trains and the others wait.

    Raises:
        ImageTokenizerError: if the file is damaged or of another kind.
        TrainingError: if the training's loss is no number.
    """
    if file is not None:
        return load_image_tokenizer(file)
    run.mkdir(parents=True, exist_ok=True)
    own = run / "images.safetensors"
    with locked(run / ".images.lock"):
        if not own.is_file():
            save_autoencoder(_trained(recipe, pictures), own)
    return load_image_tokenizer(own)


def catalogue_tokens(
    log: BehaviourLog, pictures: Pictures, rows: NDArray[np.int64], tokenizer: ImageTokenizer, grid: int
) -> Tokens:
    """The tokens of some of a catalogue's pictures, kept beside the log: (rows, grid * grid)."""

    def parts_from(first: int) -> Iterable[Tensor]:
        return (pictures.rows(rows[at : at + _CHUNK]) for at in range(first, len(rows), _CHUNK))

    key = {"log": log.digest, "size": int(pictures.pixels.shape[1]), "rows": len(rows)}
    return cached_tokens(parts_from, (len(rows), grid), tokenizer, key, log.path / "tokens" / "items")


def _trained(recipe: ContentRecipe, pictures: Pictures) -> DiscreteAutoencoder:
    """The same autoencoder as of faces; its patches are of the nearest size that it has."""
    settings, size = recipe.pretraining, recipe.vision.image_size
    factor = min((4, 8, 16), key=lambda side: abs(side - settings.patch))
    rows = np.flatnonzero(pictures.whole)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = DiscreteAutoencoder(AutoencoderConfig(vocabulary=settings.tokenizer_vocabulary, factor=factor))
        batches = max(1, len(rows) // _BATCH)
        optimizer = Adam(model.parameters(), lr=2e-3, betas=(0.9, 0.95))
        schedule = CosineAnnealingLR(optimizer, settings.tokenizer_epochs * batches)
        for epoch in tqdm(range(settings.tokenizer_epochs), "image tokenizer", unit="epoch", disable=None):
            order = np.random.default_rng((recipe.seed, epoch)).permutation(rows)
            for part in np.array_split(order, batches):
                loss, _ = model.loss(unit_pixels(pictures.rows(np.sort(part)), max(factor, size // factor * factor)))
                if not torch.isfinite(loss):
                    raise TrainingError(f"the image tokenizer's loss is {float(loss.detach())} in epoch {epoch}")
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
    return model
