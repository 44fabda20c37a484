"""Scores of a split, and the figures that follow."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from rapport_training.interest.ctr.checks import check_batch
from rapport_training.interest.ctr.ctr_model import CtrModel
from rapport_training.interest.ctr.metrics import CtrMetrics, ctr_metrics
from rapport_training.interest.data.batches import batches
from rapport_training.interest.data.content_table import ContentTable
from rapport_training.interest.data.prepared import PreparedLog, Split


def evaluate_ctr(
    model: CtrModel, prepared: PreparedLog, split: Split, content: ContentTable | None = None
) -> tuple[NDArray[np.float32], CtrMetrics]:
    """Scores every sample of a split, in its order.

    Args:
        model: with the item table of `prepared` (`run.load_ctr`).
        prepared: the samples.
        split: which.
        content: for models with MIM's modules.

    Returns:
        scores: (n,) probabilities of a click.
        metrics: of the split.

    Raises:
        SettingsError: if content is missing or no number, or the split has one kind of label only.
    """
    scores = score_split(model, prepared, split, content)
    samples = prepared.samples(split)
    return scores, ctr_metrics(np.asarray(samples.label), scores, np.asarray(samples.user))


@torch.inference_mode()
def score_split(
    model: CtrModel, prepared: PreparedLog, split: Split, content: ContentTable | None
) -> NDArray[np.float32]:
    """(n,) probabilities of a click; see `evaluate_ctr`."""
    device = next(model.parameters()).device
    recipe, was_training = model.recipe, model.training
    model.eval()
    parts = []
    for batch in batches(
        prepared,
        split,
        batch_size=recipe.batch_size,
        history_length=recipe.history_length,
        seed=None,
        content=content if recipe.uses_content else None,
    ):
        check_batch(batch, prepared.item_ids)
        parts.append(torch.sigmoid(model(batch.to(device)).float()).cpu().numpy())
    model.train(was_training)
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)
