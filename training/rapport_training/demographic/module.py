"""What Lightning trains: the dual encoder with equation (5), the contrastive loss and masked image modelling."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from rapport_edge.labels import AGE_BINS, AGE_EDGES, bin_middles
from rapport_training.demographic.captions import SENTENCE, caption
from rapport_training.demographic.dataset import Batch, CaptionIndex
from rapport_training.demographic.loss import contrastive_loss, expected_age_error, plain_contrastive_loss
from rapport_training.demographic.model import build_model, build_tokenizer
from rapport_training.demographic.pixels import normalise
from rapport_training.demographic.recipe import Recipe
from rapport_training.distributed import gather, rank, share
from rapport_training.errors import TrainingError
from rapport_training.masked_image.head import MaskedImageHead
from rapport_training.masked_image.objective import masked_image_objective
from rapport_training.memory import in_micro_batches, refuse_batch_statistics

#: CLIP's bound on 1 / temperature (Radford et al. 2021, Section 2.5).
MAX_LOGIT_SCALE = math.log(100.0)

#: On a GPU, reading a loss makes the processor wait for it; every so many steps is soon enough to stop.
LOOK_AT_LOSS_EVERY = 50

Captions = Mapping[str, CaptionIndex]


class ContrastiveModule(pl.LightningModule):
    """Fits image and text tower with equations (1) to (3), summed over caption views, plus equation (4) if asked for.

    Attributes:
        model: the dual encoder.
        masked_image: E_MIM with its classifier, or None.
    """

    def __init__(self, recipe: Recipe, training: Captions, validation: Captions, steps: int) -> None:
        """Builds the model with random weights.

        Args:
            recipe: what to compute.
            training, validation: captions by view, over all faces of a split.
            steps: optimizer steps of the whole run, for the cosine decay.
        """
        super().__init__()
        self.recipe, self.steps = recipe, steps
        self.model = build_model(recipe.model).to(memory_format=torch.channels_last)
        self.masked_image: MaskedImageHead | None = None
        if recipe.micro_batch:
            refuse_batch_statistics(self.model)
        if recipe.gradient_checkpointing:
            self.model.set_grad_checkpointing(True)
        tokenizer = build_tokenizer(recipe.model)
        for split, captions in (("train", training), ("val", validation)):
            for view in recipe.used_views:
                self.register_buffer(f"{split}_tokens_{view}", tokenizer(captions[view].texts), persistent=False)
                of_face = torch.from_numpy(captions[view].of_face)
                self.register_buffer(f"{split}_captions_{view}", of_face, persistent=False)
            if recipe.age_error > 0:
                self.register_buffer(f"{split}_years", years_of(captions["age"]), persistent=False)
        self._keep_tables_out_of_ddp()

    def _keep_tables_out_of_ddp(self) -> None:
        """DistributedDataParallel sends all buffers in every step, but every process made these tables itself."""
        tables = [name for name, _ in self.named_buffers(recurse=False)]
        DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(self, tables)

    def add_masked_image(self, vocabulary: int, tokens: NDArray[Any]) -> None:
        """Adds the head of equation (4), with random weights.

        Args:
            vocabulary: |V| of the image tokenizer.
            tokens: (n, patches) of the training faces.
        """
        settings = self.recipe.masked_image
        assert settings is not None
        # A generator of its own: whether the tokens were cached or computed first must not change the weights.
        with torch.random.fork_rng():
            torch.manual_seed(self.recipe.seed)
            self.masked_image = MaskedImageHead(self.model.visual, vocabulary, settings.layers)
        self.register_buffer("train_image_tokens", torch.from_numpy(np.array(tokens)), persistent=False)
        self._keep_tables_out_of_ddp()

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """Equation (5) on one process's part of the batch."""
        images = self.encode_images(batch.crops)
        loss = self._contrastive("train", images, batch.rows, wording=self.global_step * 7919)  # a prime: all, in turn
        self.log("train/contrastive", loss, on_step=False, on_epoch=True)
        if self.masked_image is not None:
            rng = np.random.default_rng((self.recipe.seed, self.global_step, rank()))
            loss = loss + self._masked_image(batch, rng)
        self.log("train/loss", loss, prog_bar=True)
        self._newest_loss = loss.detach()
        if loss.device.type == "cpu" or self.global_step % LOOK_AT_LOSS_EVERY == 0:
            self._stop_at_nonsense(loss)
        return loss

    def on_train_epoch_end(self) -> None:
        """Looks at the losses before a checkpoint is written."""
        self._stop_at_nonsense(self._newest_loss)
        if "val/loss" in self.trainer.callback_metrics:
            self._stop_at_nonsense(self.trainer.callback_metrics["val/loss"])

    def validation_step(self, batch: Batch, _: int) -> None:
        """The contrastive loss, and the accuracy of each view as a zero-shot classifier."""
        images = self.encode_images(batch.crops)
        loss = self._contrastive("val", images, batch.rows, wording=0)
        self.log("val/loss", loss, prog_bar=True, batch_size=len(batch.rows))
        for view, texts in self._classifiers.items():
            right = (images @ texts.T).argmax(dim=1) == getattr(self, f"val_captions_{view}")[0, batch.rows]
            self.log(f"val/accuracy_{view}", right.float().mean(), prog_bar=len(texts) < 20, batch_size=len(right))

    def on_validation_epoch_start(self) -> None:
        """Every caption competes, and equally: the zero-shot classifier of each view."""
        # Those of "sentence" overlap: "a woman" is as right as "a young woman".
        views = [view for view in self.recipe.used_views if view != SENTENCE]
        self._classifiers = {view: self.encode_texts(getattr(self, f"val_tokens_{view}")) for view in views}

    def encode_images(self, crops: Tensor) -> Tensor:
        """(n, 3, size, size) uint8 -> (n, d) float32 unit vectors."""
        pixels = normalise(crops, self.recipe.pixels)
        return F.normalize(in_micro_batches(self.model.encode_image, pixels, self.recipe.micro_batch).float(), dim=-1)

    def encode_texts(self, tokens: Tensor) -> Tensor:
        """(n, context) int64 -> (n, d) float32 unit vectors."""
        return F.normalize(in_micro_batches(self.model.encode_text, tokens, self.recipe.micro_batch).float(), dim=-1)

    def _contrastive(self, split: str, images: Tensor, rows: Tensor, wording: int) -> Tensor:
        """The views' losses on the batch of all processes together, weighted and summed."""
        training = split == "train"
        if training:  # every process validates on everything
            rows, images = gather(rows), gather(images)
        used = {view: self._distinct_captions(split, view, rows, wording) for view in self.recipe.used_views}
        texts = self._encode_distinct(split, used, shared=training)
        loss = images.new_zeros(())
        with torch.autocast(images.device.type, enabled=False):  # bfloat16 would round the logits to 3 digits
            scale = self.model.logit_scale.exp().float()
            for view, (distinct, inverse) in used.items():
                view_loss = self._view_loss(images, texts[view], inverse, scale)
                self.log(f"{split}/loss_{view}", view_loss, on_step=False, on_epoch=True, batch_size=len(rows))
                loss = loss + self.recipe.views[view] * view_loss
                if view == "age" and self.recipe.age_error > 0:
                    years = getattr(self, f"{split}_years")[distinct]
                    error = expected_age_error(images, texts[view], inverse, scale, years)
                    self.log(f"{split}/age_error_decades", error, on_step=False, on_epoch=True, batch_size=len(rows))
                    loss = loss + self.recipe.age_error * error
        return loss

    def _view_loss(self, images: Tensor, texts: Tensor, inverse: Tensor, scale: Tensor) -> Tensor:
        if self.recipe.equal_captions == "positives":
            return contrastive_loss(images, texts, inverse, scale)
        return plain_contrastive_loss(images, texts[inverse], scale)

    def _distinct_captions(self, split: str, view: str, rows: Tensor, wording: int) -> tuple[Tensor, Tensor]:
        """The captions of the batch, each once, and for each face which of them is its own.

        All faces of a step are described in the same wording, so that two wordings of one fact are never negatives.
        """
        wordings = getattr(self, f"{split}_captions_{view}")
        distinct, inverse = torch.unique(wordings[wording % len(wordings), rows], return_inverse=True)
        return distinct, inverse

    def _encode_distinct(
        self, split: str, used: Mapping[str, tuple[Tensor, Tensor]], *, shared: bool
    ) -> dict[str, Tensor]:
        """Each distinct caption of the batch once, those of all views in one pass, which the processes share."""
        tokens = [getattr(self, f"{split}_tokens_{view}")[distinct] for view, (distinct, _) in used.items()]
        together = torch.cat(tokens)
        texts = gather(self.encode_texts(share(together)))[: len(together)] if shared else self.encode_texts(together)
        return dict(zip(used, texts.split([len(part) for part in tokens]), strict=True))

    def _masked_image(self, batch: Batch, rng: np.random.Generator) -> Tensor:
        """Equation (4) on the crops that were not augmented, which the tokens belong to."""
        assert self.masked_image is not None
        assert self.recipe.masked_image is not None
        objective = masked_image_objective(
            self.masked_image, self.model.visual, self.recipe.masked_image, self.recipe.micro_batch
        )
        tokens = self.train_image_tokens[batch.rows].long()
        loss = objective(normalise(batch.plain, self.recipe.pixels), tokens, rng)
        self.log("train/masked_image", loss, on_step=False, on_epoch=True)
        return self.recipe.masked_image.weight * loss

    def _stop_at_nonsense(self, loss: Tensor) -> None:
        """Raises TrainingError for a loss that is not finite, before a checkpoint holds what it leads to."""
        if not torch.isfinite(loss):
            raise TrainingError(
                f"the loss is {float(loss)} at step {self.global_step}; the run's checkpoints are from before. A lower "
                "learning_rate, more warmup_steps or precision bf16-mixed instead of 16-mixed usually help"
            )

    def on_before_zero_grad(self, optimizer: Optimizer) -> None:
        """Keeps the temperature in CLIP's bounds."""
        with torch.no_grad():
            self.model.logit_scale.clamp_(0.0, MAX_LOGIT_SCALE)

    def configure_optimizers(self) -> Any:
        """AdamW without decay of biases, norms and the temperature; warm-up and cosine by step."""
        decayed = [p for p in self.parameters() if p.ndim >= 2]
        others = [p for p in self.parameters() if p.ndim < 2]
        groups = [
            {"params": decayed, "weight_decay": self.recipe.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        # Lightning clips no gradients of a fused optimizer in mixed precision.
        fused = not (self.recipe.gradient_clip and self.recipe.precision.endswith("-mixed"))
        optimizer = AdamW(groups, lr=self.recipe.learning_rate, fused=fused)
        schedule = LambdaLR(optimizer, lambda step: warmup_cosine(step, self.recipe.warmup_steps, self.steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def years_of(ages: CaptionIndex) -> Tensor:
    """(M,) float32: the middle of the age bin that each caption of the view "age" names."""
    middles = zip(AGE_BINS, bin_middles(AGE_EDGES), strict=True)
    by_caption = {caption("age", race="", gender="", age=name): float(middle) for name, middle in middles}
    return torch.tensor([by_caption[text] for text in ages.texts])


def warmup_cosine(step: int, warmup: int, total: int) -> float:
    """Factor on the learning rate: linear from 0 to 1, then half a cosine to 0."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, (step - warmup) / max(1, total - warmup))))
