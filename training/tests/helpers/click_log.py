"""A small click log whose clicks follow from the history, prepared as FuxiCTR's files are."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rapport_training.interest.data.fuxictr_prepared import prepare_fuxictr
from rapport_training.interest.data.prepared import PreparedLog

ITEMS, CLUSTERS = 60, 3


def write_clicks(path: Path, rows: int, seed: int) -> None:
    """A user's history is of one cluster; a click is, too, and what was not clicked is of another."""
    rng = np.random.default_rng(seed)
    lines = ["label,user_id,item_id,cate_id,item_history,cate_history"]
    for _ in range(rows):
        taste, label = rng.integers(0, CLUSTERS), rng.integers(0, 2)
        history = rng.integers(0, ITEMS // CLUSTERS, rng.integers(1, 6)) * CLUSTERS + taste + 1
        other = (taste + rng.integers(1, CLUSTERS)) % CLUSTERS
        item = rng.integers(0, ITEMS // CLUSTERS) * CLUSTERS + (taste if label else other) + 1
        joined = ["^".join(str(value) for value in part) for part in (history, history % 7 + 1)]
        lines.append(f"{label},{rng.integers(0, 50)},{item},{item % 7 + 1},{joined[0]},{joined[1]}")
    path.write_text("\n".join(lines) + "\n")


def prepared_clicks(folder: Path, rows: int = 1500) -> PreparedLog:
    """Training and test samples; the test file validates."""
    write_clicks(folder / "train.csv", rows, 1)
    write_clicks(folder / "test.csv", 400, 2)
    return prepare_fuxictr(folder / "train.csv", folder / "test.csv", None, folder / "prepared")
