"""Deep interest network (Zhou et al. 2018, "Deep Interest Network for Click-Through Rate Prediction")."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from rapport_training.interest.ctr.models.interest import Answer, Behaviours
from rapport_training.interest.ctr.normalisation import Dice
from rapport_training.interest.ctr.positions import Positions


class ActivationUnit(nn.Module):
    """a(e_j, v_A) of equation (3) and Fig. 2: a small network on behaviour h, target t, h - t and h * t.

    W [h, t, h - t, h * t] = (Wh + Wd) h + (Wt - Wd) t + Wp (h * t): the first layer has these three weights, so that
    the target's part is computed once a row, and nothing of 4 E is written for each behaviour.
    """

    def __init__(self, embedding: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.history = nn.Linear(embedding, hidden[0], bias=False)
        self.product = nn.Linear(embedding, hidden[0], bias=False)
        self.target = nn.Linear(embedding, hidden[0])
        layers: list[nn.Module] = [Dice(hidden[0])]
        for inputs, outputs in pairwise(hidden):
            layers += [nn.Linear(inputs, outputs), Dice(outputs)]
        self.layers = nn.Sequential(*layers)
        self.output = nn.Linear(hidden[-1], 1)

    def forward(self, target: Tensor, history: Tensor, at: Positions) -> Tensor:
        """(B, E) and P (E) -> P, weights that are not normalised, as in Section 4.3."""
        return self.output(self.layers(self.first(target, history, at)))[..., 0]

    def first(self, target: Tensor, history: Tensor, at: Positions) -> Tensor:
        """P (hidden[0]), the first layer before its activation."""
        hidden = at.spread(self.target(target))
        hidden = _plus(hidden, history, self.history.weight)
        return _plus(hidden, history * at.spread(target), self.product.weight)


def _plus(base: Tensor, values: Tensor, weight: Tensor) -> Tensor:
    """Base + W values; packed, without a tensor for the product."""
    return torch.addmm(base, values, weight.t()) if values.ndim == 2 else base + values @ weight.t()


class Din(nn.Module):
    """The sum of the behaviours, weighted by the activation unit, equation (3).

    Attributes:
        dimension: E.
    """

    def __init__(self, embedding: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.dimension = embedding
        self.activation = ActivationUnit(embedding, hidden)

    def forward(self, behaviours: Behaviours) -> Answer:
        """(B, E); 0 for empty histories."""
        weights = self.activation(behaviours.target, behaviours.history, behaviours.at)
        return behaviours.at.weighted(weights, behaviours.history), None
