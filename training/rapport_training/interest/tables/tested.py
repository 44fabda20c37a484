"""The figures of a result from the scores of the test samples."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rapport_edge.errors import SettingsError
from rapport_training.interest.ctr.metrics import ctr_metrics
from rapport_training.interest.data.prepared import PreparedLog, Samples
from rapport_training.interest.tables.deciles import CLICKED, age_sets
from rapport_training.interest.tables.result import Figures


def tested(prepared: PreparedLog, scores: NDArray[np.floating]) -> dict[str, Any]:
    """The figures of `CtrResult`.

    Args:
        prepared: samples.
        scores: (n,) probabilities of the test samples in their order.

    Raises:
        SettingsError: if all test samples have the same label.
    """
    samples = prepared.samples("test")
    new = np.asarray(samples.cold)
    whole = figures_of(samples, scores, np.ones(len(samples), dtype=bool))
    if whole is None:
        raise SettingsError(f"{prepared.path}: all test samples have the same label")
    return {
        "test": whole,
        "new": figures_of(samples, scores, new),
        "known": figures_of(samples, scores, ~new),
        "ages": age_sets(samples.item, samples.label, scores, prepared.item_created),
    }


def figures_of(samples: Samples, scores: NDArray[np.floating], rows: NDArray[np.bool_]) -> Figures | None:
    """Of some of the samples; None for none, and without AUC where only one label occurs.

    Args:
        samples: n of them.
        scores: (n,) probabilities.
        rows: (n,) which.
    """
    label = np.asarray(samples.label)[rows]
    if len(np.unique(label >= CLICKED)) < 2:
        return None
    found = ctr_metrics(label, scores[rows], np.asarray(samples.user)[rows])
    gauc = None if math.isnan(found.gauc) else found.gauc
    return Figures(auc=found.auc, gauc=gauc, log_loss=found.log_loss, samples=len(label))
