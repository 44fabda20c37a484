"""What Lightning trains: the dual encoder with one contrastive loss per caption view."""

from __future__ import annotations

import math
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from rapport_edge.labels import AGE_BINS, AGE_EDGES, bin_middles
from rapport_training.demographic.captions import SENTENCE, caption
from rapport_training.demographic.dataset import CaptionIndex
from rapport_training.demographic.loss import contrastive_loss, expected_age_error
from rapport_training.demographic.model import build_model, build_tokenizer
from rapport_training.demographic.recipe import Recipe

#: CLIP's bound on 1 / temperature (Radford et al. 2021, Section 2.5).
MAX_LOGIT_SCALE = math.log(100.0)

PIXEL_MEAN, PIXEL_STD = 127.5, 64.0


def normalise(crops: Tensor) -> Tensor:
    """uint8 pixels to roughly zero mean and unit deviation; the exported graph begins with this same function."""
    return (crops.float() - PIXEL_MEAN) / PIXEL_STD


class ContrastiveModule(pl.LightningModule):
    """Fits image and text tower with equations (1) to (3), summed over caption views with the recipe's weights."""

    def __init__(self, recipe: Recipe, captions: dict[str, CaptionIndex], steps: int) -> None:
        """Builds the model with random weights.

        Args:
            recipe: what to compute.
            captions: by view, over all faces of the run.
            steps: optimizer steps of the whole run, for the cosine decay.
        """
        super().__init__()
        self.recipe, self.steps = recipe, steps
        self.model = build_model(recipe.model).to(memory_format=torch.channels_last)
        self._captions = {view: captions[view] for view, weight in recipe.views.items() if weight > 0}
        tokenizer = build_tokenizer(recipe.model)
        for view, index in self._captions.items():
            self.register_buffer(f"tokens_{view}", tokenizer(index.texts), persistent=False)
            self.register_buffer(f"caption_of_{view}", torch.from_numpy(index.of_face), persistent=False)
        if recipe.age_error > 0:
            self.register_buffer("years_of_caption", years_of(captions["age"]), persistent=False)

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        """The weighted sum of the views' losses on crops and rows of faces."""
        crops, rows = batch
        images = self.encode_images(crops)
        scale = self.model.logit_scale.exp()
        # Each distinct caption of the batch once, those of all views in one pass of the text tower.
        used = {view: self._distinct_captions(view, rows) for view in self._captions}
        tokens = [getattr(self, f"tokens_{view}")[distinct] for view, (distinct, _) in used.items()]
        texts = self.model.encode_text(torch.cat(tokens), normalize=True).split([len(part) for part in tokens])
        loss = images.new_zeros(())
        for (view, (distinct, inverse)), captions in zip(used.items(), texts, strict=True):
            view_loss = contrastive_loss(images, captions, inverse, scale)
            self.log(f"train/loss_{view}", view_loss)
            loss = loss + self.recipe.views[view] * view_loss
            if view == "age" and self.recipe.age_error > 0:
                error = expected_age_error(images, captions, inverse, scale, self.years_of_caption[distinct])
                self.log("train/age_error_decades", error)
                loss = loss + self.recipe.age_error * error
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def encode_images(self, crops: Tensor) -> Tensor:
        """(n, 3, size, size) uint8 -> (n, d) unit vectors."""
        return F.normalize(self.model.encode_image(normalise(crops)), dim=-1)

    def _distinct_captions(self, view: str, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The captions of the batch, each once, and for each face which of them is its own.

        All faces of a step are described in the same wording, so that two wordings of one fact are never negatives.
        """
        wordings = getattr(self, f"caption_of_{view}")
        # 7919 is a prime: consecutive steps take distant wordings, and all come in turn.
        wording = (self.global_step * 7919) % len(wordings)
        distinct, inverse = torch.unique(wordings[wording, rows], return_inverse=True)
        return distinct, inverse

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        """Accuracy of each view as a zero-shot classifier."""
        crops, rows = batch
        images = self.encode_images(crops)
        for view, index in self._captions.items():
            if view == SENTENCE:  # its texts overlap: "a woman" is as right as "a young woman"
                continue
            # Every caption competes, and equally: the zero-shot classifier of this view.
            texts = self.model.encode_text(getattr(self, f"tokens_{view}"), normalize=True)
            right = (images @ texts.T).argmax(dim=1) == getattr(self, f"caption_of_{view}")[0, rows]
            self.log(f"val/accuracy_{view}", right.float().mean(), prog_bar=len(index.texts) < 20, batch_size=len(rows))

    def on_before_zero_grad(self, optimizer: Optimizer) -> None:
        """Keeps the temperature in CLIP's bounds."""
        with torch.no_grad():
            self.model.logit_scale.clamp_(0.0, MAX_LOGIT_SCALE)

    def configure_optimizers(self) -> Any:
        """AdamW without decay of biases, norms and the temperature; warm-up and cosine by step."""
        decayed = [p for p in self.model.parameters() if p.ndim >= 2]
        others = [p for p in self.model.parameters() if p.ndim < 2]
        groups = [
            {"params": decayed, "weight_decay": self.recipe.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        optimizer = AdamW(groups, lr=self.recipe.learning_rate, fused=True)
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
