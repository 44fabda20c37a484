"""Fig. 6: the tested items in ten sets, from the newest to the oldest, and how well each set is ranked."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from rapport_training.interest.tables.result import AgeSet

SETS = 10

#: Labels from here on are clicks, as in `ctr.metrics`.
CLICKED = 0.5


def age_sets(
    item: NDArray[np.integer],
    label: NDArray[np.floating],
    score: NDArray[np.floating],
    created: NDArray[np.int64],
) -> list[AgeSet]:
    """Section 4.6 of the paper: ten sets of equally many items, S1 the newest.

    Items whose time is unknown belong to no set. Items of equal age are parted by their index, so that the sets do not
    depend on the order of the samples.

    Args:
        item: (n,) the test samples' item indexes.
        label: (n,) 0 or 1.
        score: (n,) anything that rises with the probability of a click.
        created: (items,) Unix seconds, -1 for unknown; the position is the index.

    Returns:
        `SETS` sets; none where fewer than `SETS` tested items have a time.
    """
    tested = np.unique(item)
    tested = tested[created[tested] >= 0]
    if len(tested) < SETS:
        return []
    newest_first = tested[np.argsort(-created[tested], kind="stable")]
    found = []
    for number, members in enumerate(np.array_split(newest_first, SETS), start=1):
        rows = np.isin(item, members)
        found.append(
            AgeSet(
                name=f"S{number}",
                items=len(members),
                samples=int(rows.sum()),
                positives=int((label[rows] >= CLICKED).sum()),
                first=int(created[members].min()),
                auc=auc(label[rows], score[rows]),
            )
        )
    return found


def auc(label: NDArray[np.floating], score: NDArray[np.floating]) -> float | None:
    """Area under the ROC curve; None where only one label occurs."""
    right = label >= CLICKED
    return float(roc_auc_score(right, score)) if right.any() and not right.all() else None
