"""What Lightning trains: a click-through-rate model with binary cross entropy."""

from __future__ import annotations

import math
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from rapport_training.errors import TrainingError
from rapport_training.interest.batch import Batch
from rapport_training.interest.ctr.checks import check_batch
from rapport_training.interest.ctr.ctr_model import CtrModel
from rapport_training.interest.ctr.metrics import ctr_metrics
from rapport_training.interest.ctr.recipe import CtrRecipe

#: On a GPU, reading a loss makes the processor wait for it; every so many steps is soon enough to stop.
LOOK_AT_LOSS_EVERY = 50
SHOW_LOSS_EVERY = 20


class CtrModule(pl.LightningModule):
    """Fits a `CtrModel`; embedding tables with sparse gradients have an optimizer of their own.

    Attributes:
        model: what is fitted.
    """

    def __init__(self, recipe: CtrRecipe, model: CtrModel, item_ids: list[str]) -> None:
        """Args are the recipe, the model with its first weights, and ids by item index for sentences."""
        super().__init__()
        self.automatic_optimization = False  # there may be two optimizers
        self.recipe, self.model, self._item_ids = recipe, model, item_ids
        self._loss = torch.zeros(())
        self._scored: list[tuple[Tensor, Tensor, Tensor]] = []
        tables = ["model.item_values", "model.user_values"]  # every process has them; none need be sent
        DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(self, tables)

    def on_train_epoch_start(self) -> None:
        """Dropout's numbers follow from seed, epoch and process alone, so that a resumed run draws them again."""
        torch.manual_seed(hash((self.recipe.seed, self.current_epoch, self.global_rank)) % 2**63)
        self._loss = torch.zeros((), device=self.device)

    def training_step(self, batch: Batch, index: int) -> None:
        """One step of every optimizer on this process's share of a batch."""
        check_batch(batch, self._item_ids)
        optimizers = self.optimizers()
        optimizers = optimizers if isinstance(optimizers, list) else [optimizers]
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss = self.loss(batch)
        if loss.device.type == "cpu" or index % LOOK_AT_LOSS_EVERY == 0:
            self._stop_at_nonsense(loss)
        self.manual_backward(loss)
        for optimizer in optimizers:
            optimizer.step()
        self._loss += loss.detach()
        if index % SHOW_LOSS_EVERY == 0:  # logging every step would cost a twentieth of the training
            self.log("loss_step", loss.detach(), prog_bar=True, logger=False)

    def loss(self, batch: Batch) -> Tensor:
        """Binary cross entropy, with the behaviour model's auxiliary one where the recipe weights it."""
        logits, auxiliary = self.model.logits_and_auxiliary(batch)
        loss = F.binary_cross_entropy_with_logits(logits.float(), batch.label)
        if auxiliary is None or not len(auxiliary.logits):
            return loss
        labels = batch.label if auxiliary.labels is None else auxiliary.labels
        extra = F.binary_cross_entropy_with_logits(auxiliary.logits.float(), labels)
        return loss + self.recipe.auxiliary_weight * extra

    def validation_step(self, batch: Batch, _: int) -> None:
        """Keeps the scores until the epoch ends; every process validates on everything."""
        check_batch(batch, self._item_ids)
        self._scored.append((batch.label, torch.sigmoid(self.model(batch).float()), batch.user))

    def on_validation_epoch_end(self) -> None:
        """Logs val/auc, val/gauc, val/log_loss, and the mean loss of the epoch's training."""
        loss = self._loss / max(1, self.trainer.num_training_batches)
        self._stop_at_nonsense(loss)
        self.log("train/loss", loss, sync_dist=True)
        label, score, user = (torch.cat(part).cpu().numpy() for part in zip(*self._scored, strict=True))
        self._scored.clear()
        if not np.isfinite(score).all():
            self._stop_at_nonsense(torch.tensor(math.nan))
        found = ctr_metrics(label, score, user)
        self.log("val/auc", found.auc, prog_bar=True)
        self.log("val/gauc", found.gauc)
        self.log("val/log_loss", found.log_loss)

    def _stop_at_nonsense(self, loss: Tensor) -> None:
        """Raises TrainingError for a loss that is not finite, before a checkpoint holds what it leads to."""
        if not torch.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss.item()} in epoch {self.current_epoch}; the run's checkpoints are from before. A "
                "lower learning_rate usually helps, or precision 32-true instead of bf16-mixed"
            )

    def configure_optimizers(self) -> Any:
        """Adam, and for tables with sparse gradients torch's SparseAdam, which moves only the rows of a batch."""
        tables = [m for m in self.modules() if isinstance(m, nn.Embedding) and m.sparse]
        lazy = [table.weight for table in tables]
        ids = {id(weight) for weight in lazy}
        dense = [p for p in self.parameters() if id(p) not in ids]
        rate = self.recipe.learning_rate
        optimizers: list[torch.optim.Optimizer] = [
            torch.optim.Adam(dense, lr=rate, weight_decay=self.recipe.weight_decay, fused=True)
        ]
        if lazy:
            optimizers.append(torch.optim.SparseAdam(lazy, lr=rate))
        return optimizers
