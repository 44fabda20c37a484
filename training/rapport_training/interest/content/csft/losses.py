"""Equations (5) and (6), and the cross-entropies that Table 4 compares them with."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def info_nce(queries: Tensor, candidates: Tensor, positive: Tensor, masked: Tensor, scale: Tensor) -> Tensor:
    """Equation (5), the mean over the queries, in nats.

    Args:
        queries: (n, d) unit vectors.
        candidates: (m, d) unit vectors: every query's positive and negatives.
        positive: (n,) int64, the column of a query's item.
        masked: (n, m) bool, columns that are no negatives of a query (`no_negatives`).
        scale: 1 / temperature. The paper prints none.
    """
    logits = (scale * queries @ candidates.T).masked_fill(masked, float("-inf"))
    return F.cross_entropy(logits, positive)


def no_negatives(candidate_ids: Tensor, positive_ids: Tensor, query_ids: Tensor, positive: Tensor) -> Tensor:
    """(n, m) bool: columns that hold a query's positive once more, or the item whose picture the query is.

    The former would teach that the right item is wrong. The latter can only arise where the item liked before stands
    for a query: h^img of that item is h^img of the query, and no training could part them. Each takes one off
    2 N P (k + 1) - 1.

    Args:
        candidate_ids: (m,) items of the columns.
        positive_ids: (n,) the queries' items.
        query_ids: (n,) the items whose pictures the queries are; numbers that no item has for pictures of users.
        positive: (n,) int64, the column of a query's item, which stays.
    """
    masked = (candidate_ids[None] == positive_ids[:, None]) | (candidate_ids[None] == query_ids[:, None])
    return masked.scatter(1, positive[:, None], False)


def pair_cross_entropy(queries: Tensor, items: Tensor, others: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """Table 4's v2 and v3, as we read them: is this item the one of the pair, or the other of its category?

    Args:
        queries, items, others: (n, d) unit vectors of q, i and i-.
        scale, bias: of the logit, scale * cosine + bias.
    """
    logits = scale * torch.cat([(queries * items).sum(1), (queries * others).sum(1)]) + bias
    labels = torch.cat([torch.ones(len(items)), torch.zeros(len(others))]).to(logits)
    return F.binary_cross_entropy_with_logits(logits, labels)
