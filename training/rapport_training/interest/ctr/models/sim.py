"""Search-based interest model (Pi et al. 2020, "Search-based User Interest Modeling with Lifelong Sequential Behavior
Data for Click-Through Rate Prediction").
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rapport_training.interest.ctr.behaviour_time import BUCKETS, time_buckets
from rapport_training.interest.ctr.models.dien import Dien
from rapport_training.interest.ctr.models.interest import Answer, Auxiliary, Behaviours
from rapport_training.interest.ctr.models.search import TargetAttention
from rapport_training.interest.ctr.positions import Positions


@dataclass(frozen=True)
class SimSettings:
    """Sizes.

    Attributes:
        search: "soft" or "hard".
        top_k: behaviours that the general search keeps.
        heads: of the exact search.
        time_dim: of a time's embedding.
        position: "order" or "age", see `time_buckets`.
        short_length: newest behaviours for the short-term model; 0 for none.
    """

    search: str
    top_k: int
    heads: int
    time_dim: int
    position: str
    short_length: int


class Sim(nn.Module):
    """General search unit, exact search unit (Section 3), and DIEN for the newest behaviours where it is asked for.

    Attributes:
        dimension: of exact search and short-term model together.
    """

    def __init__(self, embedding: int, settings: SimSettings) -> None:
        super().__init__()
        self._settings = settings
        self.soft = SoftSearch(embedding) if settings.search == "soft" else None
        self.times = nn.Embedding(BUCKETS, settings.time_dim)
        # Equation (5): z = concat(e, e_time).
        self.exact = TargetAttention(embedding, embedding + settings.time_dim, settings.heads, embedding)
        self.short = Dien(embedding, auxiliary=False) if settings.short_length else None
        self.dimension = embedding * (2 if self.short is not None else 1)

    def forward(self, behaviours: Behaviours) -> Answer:
        """(B, E'), and the general search's auxiliary task, equation (8), for soft search in training."""
        found = self._exact(behaviours, *self._general(behaviours))
        auxiliary = self.soft.auxiliary(behaviours) if self.soft is not None and self.training else None
        if self.short is None:
            return found, auxiliary
        at, newest = behaviours.at.newest(self._settings.short_length)
        recent, _ = self.short(Behaviours(behaviours.target, behaviours.at.take(behaviours.history, newest), at, None))
        return torch.cat([found, recent], dim=-1), auxiliary

    def _general(self, behaviours: Behaviours) -> tuple[Positions, Tensor | None]:
        """The top k by equation (2): of the target's category, newest first, or by the product of embeddings."""
        with torch.no_grad():
            if self.soft is not None:
                scores = self.soft(behaviours)
            else:
                assert behaviours.same_category is not None
                scores = torch.where(behaviours.same_category, -behaviours.at.recency.float(), -torch.inf)
            return behaviours.at.top(scores, self._settings.top_k)

    def _exact(self, behaviours: Behaviours, at: Positions, chosen: Tensor | None) -> Tensor:
        """Equations (5) to (7) over what the general search has chosen."""
        history = behaviours.at.take(behaviours.history, chosen)
        times = self.times(behaviours.at.take(time_buckets(behaviours, self._settings.position), chosen))
        inputs = torch.cat([history, times.expand(*history.shape[:-1], -1)], dim=-1)
        return self.exact(behaviours.target, self.exact.key(inputs), self.exact.value(inputs), at)


class SoftSearch(nn.Module):
    """r_i = (W_b e_i) (W_a e_a), equation (2), trained by a click-through-rate task of its own (Fig. 2, left)."""

    def __init__(self, embedding: int) -> None:
        super().__init__()
        self.behaviour = nn.Linear(embedding, embedding, bias=False)
        self.target = nn.Linear(embedding, embedding, bias=False)
        self.network = nn.Sequential(nn.Linear(2 * embedding, 2 * embedding), nn.ReLU(), nn.Linear(2 * embedding, 1))

    def forward(self, behaviours: Behaviours) -> Tensor:
        """P, r."""
        # (W_b e) (W_a t) = e (W_b' W_a t): one product a row instead of one a behaviour.
        wanted = self.target(behaviours.target) @ self.behaviour.weight
        return behaviours.at.products(wanted, behaviours.history)

    def auxiliary(self, behaviours: Behaviours) -> Auxiliary:
        """The click predicted from the sum of all behaviours weighted with r, equation (3), and the target."""
        interest = behaviours.at.weighted(self(behaviours), behaviours.history)
        return Auxiliary(self.network(torch.cat([interest, behaviours.target], dim=-1))[:, 0], None)
