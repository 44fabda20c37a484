"""What Lightning trains in stage 2: the multi-modal encoder with equations (2) to (6)."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from rapport_training.demographic.module import MAX_LOGIT_SCALE
from rapport_training.distributed import gather, rank
from rapport_training.interest.content.catalogue import Catalogue
from rapport_training.interest.content.csft.hard_negatives import SameCategory
from rapport_training.interest.content.csft.losses import info_nce, no_negatives, pair_cross_entropy
from rapport_training.interest.content.csft.negative_queue import NegativeQueue
from rapport_training.interest.content.csft.pairs import Pairs
from rapport_training.interest.content.csft.triplets import Encoded, Triplets, encode
from rapport_training.interest.content.network import ContentNetwork
from rapport_training.interest.content.recipe import ContentRecipe
from rapport_training.interest.content.training import adamw, refuse_nonsense


class CsftModule(pl.LightningModule):
    """Fine-tunes towers and fusion on interest pairs.

    Attributes:
        network: the encoder.
        queue: the last batches' items.
        negatives: (n,) of the newest batch, how many negatives each query had.
    """

    def __init__(
        self, recipe: ContentRecipe, network: ContentNetwork, catalogue: Catalogue, pairs: Pairs, training: int
    ) -> None:
        """Takes an encoder as it is.

        Args:
            recipe: what to compute.
            network: plain or pre-trained.
            catalogue: the items.
            pairs: of training, then of validation.
            training: how many of the pairs are trained on.
        """
        super().__init__()
        self.recipe, self.network = recipe, network
        self._catalogue, self._pairs, self._training = catalogue, pairs, training
        self._hard = SameCategory(catalogue.categories, catalogue.complete)
        network.logit_scale.requires_grad_(recipe.csft.learn_temperature)
        self.bias = nn.Parameter(torch.zeros(())) if recipe.csft.loss == "cross-entropy" else None
        self.queue: NegativeQueue | None = None
        self.negatives = torch.zeros(0, dtype=torch.int64)
        self._steps = 1

    def prepare(self, batch_size: int, steps: int) -> None:
        """Makes the queue.

        Args:
            batch_size: N P, of all processes.
            steps: of the whole training.
        """
        settings = self.recipe.csft
        self._steps = steps
        if settings.loss == "contrastive" and settings.queued_batches:
            levels = len(self._weights())
            self.queue = NegativeQueue(settings.queued_batches, 2 * batch_size, levels, self.recipe.width)
            # Every process fills its own with the same: sending it in every step would be for nothing.
            names = [f"queue.{name}" for name, _ in self.queue.named_buffers()]
            DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(self, names)

    def on_train_epoch_start(self) -> None:
        """Draws an epoch's hard negatives and missing parts, by seed and epoch alone."""
        seed = (self.recipe.seed, self.current_epoch)
        torch.manual_seed((self.recipe.seed * 100_003 + self.current_epoch) * 1009 + rank())  # for towers with dropout
        self.draw(np.random.default_rng(seed))

    def draw(self, rng: np.random.Generator) -> None:
        """For every pair a hard negative, and for every item whether it goes without title or picture."""
        self._other = self._hard.draw(self._pairs.item, rng.random(len(self._pairs)))
        share = self.recipe.csft.missing_modality
        chance = rng.random(len(self._catalogue.ids))
        self._shown = np.stack([chance >= share / 2, (chance < share / 2) | (chance >= share)], axis=1)

    def training_step(self, rows: Tensor, _: int) -> Tensor:
        """Equation (6), or a cross-entropy, on one process's part of a batch of pairs."""
        triplets = self._triplets(rows.cpu())
        encoded = encode(self.network, self._catalogue, self._pairs.searched, triplets, self._shown)
        loss = self.loss(encoded, triplets, "train")
        self.log("train/loss", loss.detach(), prog_bar=True, on_epoch=True, sync_dist=True, batch_size=len(rows))
        refuse_nonsense(loss, self.global_step)
        return loss

    def on_validation_epoch_start(self) -> None:
        """The same hard negatives in every epoch, and nothing missing."""
        rng = np.random.default_rng((self.recipe.seed, 2**31))
        self._trained_with = self._other, self._shown
        self._other = self._hard.draw(self._pairs.item, rng.random(len(self._pairs)))
        self._shown = np.ones_like(self._shown)

    def on_validation_epoch_end(self) -> None:
        """Back to what the epoch drew."""
        self._other, self._shown = self._trained_with

    def validation_step(self, rows: Tensor, _: int) -> None:
        """The loss on later pairs, among the batch's own negatives."""
        triplets = self._triplets(rows.cpu() + self._training)
        encoded = encode(self.network, self._catalogue, self._pairs.searched, triplets, self._shown)
        self.log("val/loss", self.loss(encoded, triplets, "val"), prog_bar=True, batch_size=len(rows))

    def loss(self, encoded: Encoded, triplets: Triplets, split: str) -> Tensor:
        """The recipe's loss; in training of all processes' batch, and what it encoded goes into the queue."""
        with torch.autocast(encoded.query.device.type, enabled=False):
            scale = self.network.logit_scale.exp()
            if self.bias is None:
                return self._contrastive(encoded, triplets, scale, split)
            item, other = encoded.fused.unbind(1)
            loss = pair_cross_entropy(*(F.normalize(v, dim=1) for v in (encoded.query, item, other)), scale, self.bias)
            self._log(f"{split}/cross_entropy", loss, len(item))
            return loss

    def on_before_zero_grad(self, optimizer: Optimizer) -> None:
        """Keeps the temperature in CLIP's bounds."""
        with torch.no_grad():
            self.network.logit_scale.clamp_(0.0, MAX_LOGIT_SCALE)

    def configure_optimizers(self) -> Any:
        """AdamW with warm-up and a cosine decay."""
        return adamw(self, self.recipe.csft.optimisation, self._steps)

    def _weights(self) -> dict[str, float]:
        """The levels of (6) that count."""
        settings = self.recipe.csft
        levels = {"fused": 1.0, "texts": settings.alpha, "images": settings.beta}
        return {name: weight for name, weight in levels.items() if weight > 0}

    def _contrastive(self, encoded: Encoded, triplets: Triplets, scale: Tensor, split: str) -> Tensor:
        weights = self._weights()
        queries = F.normalize(encoded.query.float(), dim=1)
        positive, ids, vectors = self._candidates(encoded, triplets, shared=split == "train")
        own = (triplets.item.to(ids.device), triplets.query.to(ids.device))
        masked = no_negatives(ids, *own, positive)
        total = queries.new_zeros(())
        for level, (name, weight) in enumerate(weights.items()):
            part = info_nce(queries, vectors[:, level], positive, masked, scale)
            self._log(f"{split}/{'contrastive' if name == 'fused' else name}", part, len(queries))
            total = total + weight * part
        self.negatives = (~masked).sum(dim=1) - 1
        self._log(f"{split}/negatives", self.negatives.float().mean(), len(queries))
        return total

    def _candidates(self, encoded: Encoded, triplets: Triplets, *, shared: bool) -> tuple[Tensor, Tensor, Tensor]:
        """The column of each query's positive, and the columns: (n,), (m,) items and (m, levels, d) unit vectors.

        A process computes its own queries' losses alone, against the items of all: the gradients that gathering adds up
        and the mean that DistributedDataParallel takes are those of the whole batch's mean.
        """
        # (n, 2, levels, d): i and i- of each pair.
        vectors = F.normalize(torch.stack([getattr(encoded, name).float() for name in self._weights()], dim=2), dim=3)
        ids = torch.stack([triplets.item, triplets.other], dim=1).to(vectors.device)
        if self.recipe.csft.negatives == "batch":
            vectors, ids = vectors[:, :1], ids[:, :1]
        count, per_pair = ids.shape
        positive = per_pair * torch.arange(count, device=ids.device)
        if not shared:
            return positive, ids.flatten(), vectors.flatten(0, 1)
        positive = positive + rank() * count * per_pair
        ids, vectors = gather(ids).flatten(), gather(vectors).flatten(0, 1)
        if self.queue is None:
            return positive, ids, vectors
        old_ids, old_vectors = self.queue.content()
        self.queue.push(ids, vectors)
        return positive, torch.cat([ids, old_ids]), torch.cat([vectors, old_vectors])

    def _triplets(self, rows: Tensor) -> Triplets:
        columns = (self._pairs.query, self._pairs.item, self._other)
        return Triplets(*(torch.from_numpy(column[rows.numpy()]) for column in columns))

    def _log(self, name: str, value: Tensor, rows: int) -> None:
        shared = name.startswith("train/")
        self.log(name, value.detach(), on_step=False, on_epoch=True, sync_dist=shared, batch_size=rows)
