"""Whether labels can be told without knowing what anyone likes.

An AUC of .98 may come from how negatives were drawn, and not from the model. So every AUC goes with what popularity,
activity and time alone reach, with what a classifier reaches on shuffled labels (0.5, or the measurement is broken),
and with how many test samples training has, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from rapport_training.interest.data.prepared import PreparedLog, Samples, Split

#: Samples of a split that are looked at.
ROWS: Final = 100_000
#: Training samples that are compared at a time.
_CHUNK: Final = 1 << 20
#: Behaviours looked through for the target.
_HISTORY: Final = 200
_HOUR, _WEEK = 3600, 7 * 24
#: From here on metadata alone is worth a warning.
SUSPICIOUS: Final = 0.75
#: Standard deviations of an AUC by chance beyond which shuffled labels are worth one.
_BY_CHANCE: Final = 5.0


@dataclass(frozen=True)
class LeakageReport:
    """What comes out on the split that is measured on.

    Attributes:
        shuffled: AUC of a classifier that learned shuffled labels, against shuffled labels; 0.5 by right.
        shuffled_chance: standard deviation of such an AUC by chance.
        metadata: AUC of a classifier of the features below, with true labels.
        single: AUC of each feature alone, whichever its direction, so that 0.5 is the least.
        split: that is measured on.
        in_training: share of its samples that training has with the same user, item, time and history length.
        warnings: what is suspicious about it, in words.
    """

    shuffled: float
    shuffled_chance: float
    metadata: float
    single: dict[str, float]
    in_training: float
    split: Split = "test"
    warnings: list[str] = field(default_factory=list)

    def line(self) -> str:
        """One line to print beside an AUC."""
        name, best = max(self.single.items(), key=lambda item: item[1], default=("nothing", 0.5))
        text = (
            f"leakage check: labels shuffled {self.shuffled:.4f} (chance ±{self.shuffled_chance:.4f}), metadata only "
            f"{self.metadata:.4f} (most by {name}, {best:.4f}), {100 * self.in_training:.2f} % of the "
            f"{self.split} in training"
        )
        return "; ".join([text, *self.warnings])


def leakage_report(prepared: PreparedLog, *, split: Split = "test", rows: int = ROWS, seed: int = 0) -> LeakageReport:
    """Looks for leaks.

    Args:
        prepared: the samples.
        split: which is measured on; classifiers learn from training.
        rows: of each split, drawn with the seed, for speed.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    train, test = (_some(prepared.samples(one), rows, rng) for one in ("train", split))
    counts = _Counts(prepared)
    features = [_features(prepared, samples, counts) for samples in (train, test)]
    informative = [name for name, values in features[1].items() if len(values) and values.min() != values.max()]
    single = {name: _directionless(test.label, features[1][name]) for name in informative}
    tables = [
        np.column_stack([one[name] for name in informative] or [np.zeros(len(next(iter(one.values()))))])
        for one in features
    ]
    report = LeakageReport(
        shuffled=_auc_of_classifier(tables, [rng.permutation(train.label), rng.permutation(test.label)], seed),
        shuffled_chance=_chance(test.label),
        metadata=_auc_of_classifier(tables, [train.label, test.label], seed),
        single=single,
        in_training=_overlap(prepared.row_groups("train", _CHUNK), test),
        split=split,
    )
    report.warnings.extend(_suspicions(report))
    return report


class _Counts:
    """How often training meets each item and each user, whatever the label."""

    def __init__(self, prepared: PreparedLog) -> None:
        train = prepared.samples("train")
        self.item = np.bincount(train.item, minlength=len(prepared.item_values))
        self.user = np.bincount(train.user, minlength=len(prepared.user_values))


def _features(prepared: PreparedLog, samples: Samples, counts: _Counts) -> dict[str, NDArray[Any]]:
    created = prepared.item_created[samples.item]
    return {
        "item popularity": counts.item[samples.item],
        "user activity": counts.user[samples.user],
        "history length": samples.end - samples.start,
        "hour of the week": samples.time // _HOUR % _WEEK,
        "time": samples.time,
        "item age": np.where((created >= 0) & (samples.time >= 0), samples.time - created, -1),
        "item in its own history": _in_history(prepared, samples),
    }


def _in_history(prepared: PreparedLog, samples: Samples) -> NDArray[np.bool_]:
    """Whether the target is among the most recent behaviours."""
    found = np.zeros(len(samples), np.bool_)
    if not len(prepared.sequence):
        return found
    for back in range(1, _HISTORY + 1):
        open_rows = np.flatnonzero((samples.end - samples.start >= back) & ~found)
        if not len(open_rows):
            break
        found[open_rows] = prepared.sequence[samples.end[open_rows] - back] == samples.item[open_rows]
    return found


def _some(samples: Samples, rows: int, rng: np.random.Generator) -> Samples:
    if len(samples) <= rows:
        return samples
    return samples.take(np.sort(rng.choice(len(samples), rows, replace=False)))


def _auc_of_classifier(tables: list[NDArray[Any]], labels: list[NDArray[np.float32]], seed: int) -> float:
    if len(np.unique(labels[0] > 0.5)) < 2 or len(np.unique(labels[1] > 0.5)) < 2:
        return float("nan")
    classifier = HistGradientBoostingClassifier(
        max_iter=40, learning_rate=0.15, min_samples_leaf=50, early_stopping=False, random_state=seed
    )
    classifier.fit(tables[0], labels[0] > 0.5)
    return float(roc_auc_score(labels[1] > 0.5, classifier.predict_proba(tables[1])[:, 1]))


def _directionless(label: NDArray[np.float32], values: NDArray[Any]) -> float:
    if len(np.unique(label > 0.5)) < 2:
        return float("nan")
    auc = float(roc_auc_score(label > 0.5, values))
    return max(auc, 1 - auc)


def _chance(label: NDArray[np.float32]) -> float:
    """Standard deviation of the AUC of random scores (Mann and Whitney)."""
    positive = int((label > 0.5).sum())
    negative = len(label) - positive
    if not positive or not negative:
        return float("nan")
    return float(np.sqrt((len(label) + 1) / (12 * positive * negative)))


def _overlap(train: Iterable[Samples], test: Samples) -> float:
    def pairs(samples: Samples) -> NDArray[np.int64]:
        return samples.user.astype(np.int64) << 32 | samples.item

    def keys(samples: Samples) -> NDArray[Any]:
        return np.rec.fromarrays([pairs(samples), samples.time, samples.end - samples.start])

    # Numbers are compared faster than records, and few training samples have a test sample's user and item.
    wanted = np.unique(pairs(test))
    found = [keys(part.take(np.flatnonzero(np.isin(pairs(part), wanted)))) for part in train]
    return float(np.isin(keys(test), np.concatenate(found)).mean()) if len(test) and found else 0.0


def _suspicions(report: LeakageReport) -> list[str]:
    warnings = []
    if abs(report.shuffled - 0.5) > _BY_CHANCE * report.shuffled_chance:
        warnings.append("WARNING: shuffled labels can be told; the measurement is broken")
    if report.metadata > SUSPICIOUS:
        warnings.append(f"WARNING: metadata alone reach more than {SUSPICIOUS}; the AUC says little about interest")
    if report.in_training > 0.01:
        warnings.append(f"WARNING: training has {report.split} samples")
    return warnings
