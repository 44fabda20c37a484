"""How well scores order clicks before the rest."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rapport_edge.errors import SettingsError

_SMALLEST = 1e-7


@dataclass(frozen=True)
class CtrMetrics:
    """Figures of n samples.

    Attributes:
        auc: area under the ROC curve.
        gauc: the mean of each user's AUC, weighted by samples, over users with clicks and others; equation (7) of DIN
            (Zhou et al. 2018). NaN where there is no such user.
        log_loss: nats.
        n: samples.
    """

    auc: float
    gauc: float
    log_loss: float
    n: int


def ctr_metrics(label: NDArray[np.float32], score: NDArray[np.floating], user: NDArray[np.integer]) -> CtrMetrics:
    """AUC, GAUC and log loss.

    Args:
        label: (n,) 1 for a click, 0 for none; what lies between counts as a click from 0.5 on.
        score: (n,) probabilities.
        user: (n,) who it was.

    Raises:
        SettingsError: if all labels are the same, or a label or score is no number.
    """
    from sklearn.metrics import roc_auc_score

    if np.isnan(label).any():
        raise SettingsError(f"the label of sample {int(np.flatnonzero(np.isnan(label))[0])} is no number")
    clicked = label >= 0.5
    if clicked.all() or not clicked.any():
        raise SettingsError(f"the AUC of {len(label)} samples of one kind is not defined: clicks and others are needed")
    score = score.astype(np.float64)
    if not np.isfinite(score).all():
        raise SettingsError(f"the score of sample {int(np.flatnonzero(~np.isfinite(score))[0])} is no number")
    likely = np.clip(score, _SMALLEST, 1 - _SMALLEST)
    losses = -np.where(clicked, np.log(likely), np.log1p(-likely))
    return CtrMetrics(
        auc=float(roc_auc_score(clicked, score)),
        gauc=grouped_auc(clicked, score, user),
        log_loss=float(losses.mean()),
        n=len(label),
    )


def grouped_auc(clicked: NDArray[np.bool_], score: NDArray[np.float64], user: NDArray[np.integer]) -> float:
    """See `CtrMetrics.gauc`; by the rank sums of all users at once (Mann and Whitney 1947)."""
    order = np.lexsort((score, user))
    clicked, score, user = clicked[order], score[order], user[order]
    starts, group = _groups(user[1:] != user[:-1])
    first_tie, tie = _groups((user[1:] != user[:-1]) | (score[1:] != score[:-1]))
    ends = np.append(first_tie[1:], len(score))
    rank = ((first_tie + ends + 1) / 2)[tie] - starts[group]
    clicks = np.bincount(group, clicked)
    samples = np.bincount(group)
    others = samples - clicks
    ordered = np.bincount(group, rank * clicked) - clicks * (clicks + 1) / 2
    both = (clicks > 0) & (others > 0)
    if not both.any():
        return math.nan
    return float(np.average(ordered[both] / (clicks * others)[both], weights=samples[both]))


def _groups(changes: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each group starts, and each row's group; `changes` (n - 1,) tells which row begins a new one."""
    begins = np.concatenate([[True], changes])
    return np.flatnonzero(begins), np.cumsum(begins) - 1
