"""How well an encoder finds the item that a user liked next, among all items, and what chance would find."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

_QUERIES = 256


@dataclass(frozen=True)
class NextItem:
    """Of n queries.

    Attributes:
        recall_at_10: share of queries whose item is among the ten nearest; of these k / items by chance.
        chance_at_10: what a random order gives.
        median_rank: of the right item, 1 is best.
        mean_percentile: of the right item from the top; 0.5 by chance.
        items: how many competed.
        queries: n.
    """

    recall_at_10: float
    chance_at_10: float
    median_rank: float
    mean_percentile: float
    items: int
    queries: int


def next_item(vectors: NDArray[np.float32], query: NDArray[np.int64], item: NDArray[np.int64]) -> NextItem:
    """From the item liked before to the one liked next, by cosine.

    Args:
        vectors: (items, d); rows of zeros do not compete.
        query, item: (n,) rows.
    """
    unit = F.normalize(torch.from_numpy(vectors), dim=1)
    usable = unit.any(dim=1)
    keep = usable.numpy()[query] & usable.numpy()[item]
    query, item = query[keep], item[keep]
    ranks = torch.cat(
        [
            _ranks(
                unit, usable, torch.from_numpy(query[at : at + _QUERIES]), torch.from_numpy(item[at : at + _QUERIES])
            )
            for at in range(0, len(query), _QUERIES)
        ]
    ).double()
    count = int(usable.sum()) - 1  # the query's own item does not compete
    return NextItem(
        recall_at_10=float((ranks <= 10).double().mean()),
        chance_at_10=min(1.0, 10 / count),
        median_rank=float(ranks.median()),
        mean_percentile=float(((ranks - 0.5) / count).mean()),
        items=count,
        queries=len(query),
    )


def _ranks(unit: Tensor, usable: Tensor, query: Tensor, item: Tensor) -> Tensor:
    """1 for the nearest; ties count half."""
    similarity = unit[query] @ unit.T
    similarity[:, ~usable] = -np.inf
    similarity.scatter_(1, query[:, None], -np.inf)
    right = similarity.gather(1, item[:, None])
    equal = (similarity == right).sum(dim=1) - 1
    return (similarity > right).sum(dim=1) + equal.double() / 2 + 1
