"""MIM's content interest and fusion interest, equations (7), (8) and (9).

The multi-modal embeddings come from the representation centre and are not trained, so that the alphas and equation (7)
need no gradients. A (B, L, D) tensor of the history's embeddings is never made.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from rapport_training.interest.batch import ContentRows
from rapport_training.interest.ctr.positions import Packed, Padded

#: Behaviours whose embeddings are read at a time: so many rows are in memory at once.
_AT_ONCE = 16_384
#: All targets against all distinct items is one matrix product; it pays up to so many entries per behaviour.
_PRODUCT_PER_BEHAVIOUR = 4


@dataclass(frozen=True)
class ContentInterest:
    """Equation (7).

    Attributes:
        alpha: P float32, cosines between the target's embedding and the behaviours'; 0 where either has no content.
        interest: (B, D), the sum of the behaviours' embeddings weighted with alpha.
    """

    alpha: Tensor
    interest: Tensor


@torch.no_grad()
def content_interest(content: ContentRows, history: Tensor, at: Packed) -> ContentInterest:
    """Equation (7) over a batch's distinct rows.

    Args:
        content: of the batch.
        history: (N,) int64, the behaviours' rows of `content.vectors`.
        at: where the behaviours lie.
    """
    vectors = content.vectors.float()
    with torch.autocast(vectors.device.type, enabled=False):
        alpha = _cosines(F.normalize(vectors, dim=-1), content.item, history, at)
    interest = F.embedding_bag(history, vectors, at.starts, mode="sum", per_sample_weights=alpha)
    return ContentInterest(alpha, interest)


def content_interest_of_vectors(target: Tensor, history: Tensor, at: Padded) -> ContentInterest:
    """Equation (7) as printed, for export.

    Args:
        target: (B, D).
        history: (B or 1, L, D).
        at: where the behaviours lie.
    """
    alpha = at.products(F.normalize(target, dim=-1), F.normalize(history, dim=-1))
    return ContentInterest(at.pad(alpha), at.weighted(alpha, history))


def _cosines(unit: Tensor, item: Tensor, history: Tensor, at: Packed) -> Tensor:
    """(N,) products of unit vectors."""
    if len(item) * len(unit) <= _PRODUCT_PER_BEHAVIOUR * len(history):
        return (unit[item] @ unit.T)[at.rows, history]
    parts = zip(history.split(_AT_ONCE), item[at.rows].split(_AT_ONCE), strict=True)
    return torch.cat([torch.linalg.vecdot(unit[behaviour], unit[target]) for behaviour, target in parts])
