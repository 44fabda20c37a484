"""Deep interest evolution network (Zhou et al. 2019, "Deep Interest Evolution Network for CTR Prediction")."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rapport_training.interest.ctr.models.gru import AttentionalGru
from rapport_training.interest.ctr.models.interest import Answer, Auxiliary, Behaviours
from rapport_training.interest.ctr.positions import Packed


class Dien(nn.Module):
    """Interest extractor, interest evolving layer (AUGRU), and the auxiliary loss where it is asked for.

    Attributes:
        dimension: E.
    """

    def __init__(self, embedding: int, *, auxiliary: bool) -> None:
        super().__init__()
        self.dimension = embedding
        self.extractor = AttentionalGru(embedding)
        self.evolution = AttentionalGru(embedding)
        self.attention = nn.Parameter(torch.eye(embedding))
        self._auxiliary = auxiliary

    def forward(self, behaviours: Behaviours) -> Answer:
        """(B, E), the state h'_T after the last behaviour; 0 for empty histories."""
        at = behaviours.at
        interests, _ = self.extractor(behaviours.history, None, at)
        # Equation (5): a_t = softmax(h_t W e_a).
        scores = at.products(behaviours.target @ self.attention.t(), interests)
        _, last = self.evolution(interests, at.softmax(scores), at)
        return last, next_behaviour(interests, behaviours) if self._auxiliary and self.training else None


def next_behaviour(interests: Tensor, behaviours: Behaviours) -> Auxiliary:
    """The auxiliary task, equation (6): an interest's product with the next behaviour against that with another's.

    The other one is that of a behaviour at random of the same batch, where the paper draws from all items that were
    not clicked.

    Args:
        interests: (N, E), packed.
        behaviours: of the batch.
    """
    at = behaviours.at
    assert isinstance(at, Packed)
    now = torch.nonzero(at.recency > 0)[:, 0]
    other = torch.randint(max(1, len(behaviours.history)), (len(now),), device=now.device)
    right = torch.linalg.vecdot(interests[now], behaviours.history[now + 1])
    wrong = torch.linalg.vecdot(interests[now], behaviours.history[other])
    return Auxiliary(torch.cat([right, wrong]), torch.cat([torch.ones_like(right), torch.zeros_like(wrong)]))
