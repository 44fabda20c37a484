"""Table 4's v1: the encoder learns to name the item's category, a signal that knows nothing of interest."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rapport_edge.errors import SettingsError
from rapport_training.distributed import rank
from rapport_training.interest.content.catalogue import Catalogue
from rapport_training.interest.content.language import Titles
from rapport_training.interest.content.network import ContentNetwork
from rapport_training.interest.content.recipe import ContentRecipe
from rapport_training.interest.content.training import adamw, refuse_nonsense


class CategoryModule(pl.LightningModule):
    """Cross-entropy of the category, from h^MM through a linear classifier that is thrown away.

    Attributes:
        network: the encoder.
        classifier: over the categories that occur twice.
        items: (n,) rows of the items of these categories.
    """

    def __init__(self, recipe: ContentRecipe, network: ContentNetwork, catalogue: Catalogue) -> None:
        """Takes an encoder as it is.

        Raises:
            SettingsError: if fewer than two categories can be told apart.
        """
        super().__init__()
        self.recipe, self.network, self._catalogue = recipe, network, catalogue
        names = np.array(
            [category if catalogue.complete[row] else "" for row, category in enumerate(catalogue.categories)]
        )
        found, codes, counts = np.unique(names, return_inverse=True, return_counts=True)
        known = (found != "") & (counts > 1)
        if known.sum() < 2:
            raise SettingsError("the signal category needs items of two categories or more, with picture and title")
        self.items = np.flatnonzero(known[codes])
        self._codes = torch.from_numpy(np.unique(codes[self.items], return_inverse=True)[1])
        self.classifier = nn.Linear(recipe.width, int(known.sum()))
        network.logit_scale.requires_grad_(False)
        self._steps = 1

    def prepare(self, steps: int) -> None:
        """Steps of the whole training."""
        self._steps = steps

    def on_train_epoch_start(self) -> None:
        """Towers with dropout draw the same in a resumed run."""
        torch.manual_seed((self.recipe.seed * 100_003 + self.current_epoch) * 1009 + rank())

    def training_step(self, rows: Tensor, _: int) -> Tensor:
        """The loss of one process's part of a batch."""
        items = self.items[rows.cpu().numpy()]
        titles = self._catalogue.titles.rows(torch.from_numpy(items))
        images = self.network.encode_images(self._catalogue.pictures.rows(items).to(self.device))
        texts = self.network.encode_titles(Titles(*(part.to(self.device) for part in titles)))
        logits = self.classifier(self.network.fuse(images, texts))
        loss = F.cross_entropy(logits.float(), self._codes[rows.cpu()].to(self.device))
        self.log(
            "train/cross_entropy", loss.detach(), on_step=False, on_epoch=True, sync_dist=True, batch_size=len(rows)
        )
        refuse_nonsense(loss, self.global_step)
        return loss

    def configure_optimizers(self) -> Any:
        """AdamW with warm-up and a cosine decay."""
        return adamw(self, self.recipe.csft.optimisation, self._steps)
