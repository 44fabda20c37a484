"""What Lightning trains in stage 1: first each tower on its own (DDA), then both together (DMA)."""

from __future__ import annotations

import math
from typing import Any, Final

import lightning.pytorch as pl
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch.optim import Optimizer

from rapport_training.demographic.loss import plain_contrastive_loss
from rapport_training.demographic.module import MAX_LOGIT_SCALE
from rapport_training.demographic.pixels import normalise
from rapport_training.distributed import gather, rank, world_size
from rapport_training.interest.content.catalogue import Catalogue
from rapport_training.interest.content.centring import centre_projections
from rapport_training.interest.content.language import Titles
from rapport_training.interest.content.network import ContentNetwork
from rapport_training.interest.content.pretraining.masked_language import HiddenTokens, MaskedLanguage
from rapport_training.interest.content.recipe import ContentRecipe
from rapport_training.interest.content.training import adamw, everyones, refuse_nonsense
from rapport_training.masked_image.loss import masked_image_loss
from rapport_training.masked_image.masks import draw_masks
from rapport_training.masked_image.timm_head import TimmMaskedImageHead

#: Where alignment's temperature starts, as CLIP's; C-SFT's own is none of its business.
_TEMPERATURE: Final = 0.07


class PretrainingModule(pl.LightningModule):
    """Downstream data adaptation in the first epochs, different modal alignment in the others.

    Items without a whole picture or without a title are not among the rows.

    Attributes:
        network: the encoder.
        masked_language: F_L with its language modelling head, or None.
        masked_image: E_MIM with its classifier, or None.
    """

    def __init__(self, recipe: ContentRecipe, network: ContentNetwork, catalogue: Catalogue, steps: int) -> None:
        """Takes towers as they are.

        Args:
            recipe: what to compute.
            network: its towers are trained; its fusion is not touched.
            catalogue: the items.
            steps: of an epoch.
        """
        super().__init__()
        self.recipe, self.network, self._catalogue, self._steps = recipe, network, catalogue, steps
        network.logit_scale.data.fill_(-math.log(_TEMPERATURE))
        self._items = np.flatnonzero(catalogue.complete)
        settings = recipe.pretraining
        adapts = settings.dda_epochs > 0
        self.masked_language: MaskedLanguage | None = None
        if adapts and settings.masked_language > 0:
            self.masked_language = MaskedLanguage(network.language, settings.masked_language)
        self.masked_image: TimmMaskedImageHead | None = None
        self._tokens: NDArray[Any] | None = None

    def add_masked_image(self, head: TimmMaskedImageHead, tokens: NDArray[Any]) -> None:
        """Adds equation (4) of the face encoder's paper for F_V.

        Args:
            head: for the vision tower.
            tokens: (used items, patches).
        """
        self.masked_image, self._tokens = head, tokens

    def on_train_epoch_start(self) -> None:
        """Dropout of published towers draws by chance: a resumed run must draw the same. DMA starts centred."""
        if self.current_epoch == self.recipe.pretraining.dda_epochs:
            centre_projections(self.network, self._catalogue, self.recipe.seed)
        torch.manual_seed((self.recipe.seed * 100_003 + self.current_epoch) * 1009 + rank())

    def training_step(self, rows: Tensor, _: int) -> Tensor:
        """The loss of one process's part of a batch of rows."""
        aligning = self.current_epoch >= self.recipe.pretraining.dda_epochs
        loss = self.alignment(rows) if aligning else self.adaptation(rows)
        self.log("train/loss", loss.detach(), prog_bar=True, on_epoch=True, sync_dist=True, batch_size=len(rows))
        refuse_nonsense(loss, self.global_step)
        return loss

    def adaptation(self, rows: Tensor) -> Tensor:
        """DDA: masked images plus masked language."""
        together, mine = everyones(rows.cpu())
        seed = (self.recipe.seed, self.global_step)
        loss = torch.zeros((), device=self.device)
        if self.masked_image is not None:
            image_loss = self._masked_image(rows.cpu(), together, mine, np.random.default_rng(seed))
            self._log("masked_image", image_loss, len(rows))
            assert self.recipe.pretraining.masked_image is not None
            loss = loss + self.recipe.pretraining.masked_image.weight * image_loss
        if self.masked_language is not None:
            draw = int(np.random.default_rng((*seed, 1)).integers(2**62))
            text_loss = self._masked_language(together, mine, draw)
            self._log("masked_language", text_loss, len(rows))
            loss = loss + text_loss
        return loss

    def alignment(self, rows: Tensor) -> Tensor:
        """DMA: image-text contrast over the batch of all processes, as CLIP (Radford et al. 2021)."""
        images = self.network.encode_images(self._pictures(rows.cpu()))
        texts = self.network.encode_titles(self._titles(rows.cpu()))
        images, texts = (F.normalize(gather(vectors.float()), dim=1) for vectors in (images, texts))
        with torch.autocast(self.device.type, enabled=False):
            loss = plain_contrastive_loss(images, texts, self.network.logit_scale.exp())
        self._log("contrastive", loss, len(rows))
        return loss

    def on_before_zero_grad(self, optimizer: Optimizer) -> None:
        """Keeps the temperature in CLIP's bounds."""
        with torch.no_grad():
            self.network.logit_scale.clamp_(0.0, MAX_LOGIT_SCALE)

    def configure_optimizers(self) -> Any:
        """AdamW; DDA and DMA each with a warm-up and a decay of its own."""
        settings = self.recipe.pretraining
        phases = [n * self._steps for n in (settings.dda_epochs, settings.dma_epochs) if n]
        return adamw(self, settings.optimisation, *phases)

    def _masked_image(self, rows: Tensor, together: Tensor, mine: Tensor, rng: np.random.Generator) -> Tensor:
        head, settings = self.masked_image, self.recipe.pretraining.masked_image
        assert head is not None
        assert settings is not None
        assert self._tokens is not None
        masked = max(1, round(settings.masked_share * head.grid**2))
        mask = draw_masks(settings.kind, len(together), head.grid, masked, rng)[mine]
        pixels = normalise(self._pictures(rows), self.network.vision.pixels)
        tokens = torch.from_numpy(self._tokens[rows.numpy()].astype(np.int64))
        logits = head(self.network.vision.trunk, pixels, mask)
        return masked_image_loss(logits.float(), tokens, mask, settings.reduction)

    def _masked_language(self, together: Tensor, mine: Tensor, seed: int) -> Tensor:
        """The mean over the predicted tokens of all processes; DDP's mean over processes is undone."""
        assert self.masked_language is not None
        everything = self._catalogue.titles.rows(torch.from_numpy(self._items)[together])
        hidden = self.masked_language.hide(everything, seed)
        own = hidden.rows(mine)
        titles = Titles(*(part.to(self.device) for part in own.titles))
        total = self.masked_language(HiddenTokens(titles, own.labels.to(self.device)))
        return total * world_size() / max(1, hidden.predicted)

    def _pictures(self, rows: Tensor) -> Tensor:
        return self._catalogue.pictures.rows(self._items[rows.numpy()]).to(self.device)

    def _titles(self, rows: Tensor) -> Titles:
        titles = self._catalogue.titles.rows(torch.from_numpy(self._items)[rows])
        return Titles(*(part.to(self.device) for part in titles))

    def _log(self, name: str, value: Tensor, rows: int) -> None:
        self.log(f"train/{name}", value.detach(), on_step=False, on_epoch=True, sync_dist=True, batch_size=rows)
