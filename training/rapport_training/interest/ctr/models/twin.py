"""Two-stage interest network (Chang et al. 2023, "TWIN: TWo-stage Interest Network for Lifelong User Behavior Modeling
in CTR Prediction at Kuaishou").
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from rapport_training.interest.ctr.behaviour_time import BUCKETS, time_buckets
from rapport_training.interest.ctr.models.interest import Answer, Behaviours


@dataclass(frozen=True)
class TwinSettings:
    """Sizes.

    Attributes:
        top_k: behaviours that the general search keeps.
        heads: of the attention.
        position: "order" or "age", see `time_buckets`.
    """

    top_k: int
    heads: int
    position: str


class Twin(nn.Module):
    """General and exact search with the same relevance, equation (6): their top k are the exact search's own.

    alpha = (K_h W_h)(q W_q) / sqrt(d) + (K_c W_c) beta: the product of target and inherent features (the item's
    embedding), and a bias from the cross features, each of which W_c projects to one number. The cross feature that a
    behaviour log has is when the behaviour was.

    With several heads, each chooses by its own alpha and attends to what it chose, so that the two stages agree head
    by head; the paper leaves open whose alpha chooses.

    Attributes:
        dimension: E.
    """

    #: Dimensions of a cross feature's embedding; Section 4.1.4.
    CROSS_DIM = 8

    def __init__(self, embedding: int, settings: TwinSettings) -> None:
        super().__init__()
        self.dimension, self._settings = embedding, settings
        self.query = nn.Linear(embedding, embedding, bias=False)
        self.key = nn.Linear(embedding, embedding, bias=False)
        self.value = nn.Linear(embedding + self.CROSS_DIM, embedding, bias=False)
        self.output = nn.Linear(embedding, embedding, bias=False)
        self.times = nn.Embedding(BUCKETS, self.CROSS_DIM)
        self.project = nn.Linear(self.CROSS_DIM, 1, bias=False)
        self.beta = nn.Parameter(torch.ones(settings.heads))

    def forward(self, behaviours: Behaviours) -> Answer:
        """(B, E); 0 for empty histories."""
        at, heads = behaviours.at, self._settings.heads
        times = self.times(time_buckets(behaviours, self._settings.position))
        values = torch.cat([behaviours.history, times.expand(*behaviours.history.shape[:-1], -1)], dim=-1)
        query = self.query(behaviours.target) * (self.dimension // heads) ** -0.5
        bias, key = self.project(times)[..., 0], self.key(behaviours.history)
        found = []
        parts = (query.chunk(heads, -1), key.chunk(heads, -1), self.beta, self.value.weight.chunk(heads))
        for own_query, own_key, beta, weight in zip(*parts, strict=True):
            alpha = at.products(own_query, own_key) + bias * beta
            chosen_at, chosen = at.top(alpha, self._settings.top_k)
            weights = chosen_at.softmax(at.take(alpha, chosen))
            found.append(chosen_at.weighted(weights, at.take(values, chosen) @ weight.t()))
        return self.output(torch.cat(found, dim=-1)), None
