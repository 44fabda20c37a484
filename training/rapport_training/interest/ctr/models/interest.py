"""What all user-behaviour models share: what they are asked, and what they answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from rapport_training.interest.ctr.positions import Positions


@dataclass(frozen=True)
class Behaviours:
    """What came before, and the item that it is related to.

    Shapes: B rows, P positions (`positions`), E dimensions of an item's ID embedding.

    Attributes:
        target: (B, E), the target items' embeddings.
        history: P (E), those of the behaviours.
        at: where the behaviours lie.
        age: P float32, days between behaviour and event; None where the log has no times.
        same_category: P bool, whether a behaviour's category is the target's; None for models that do not ask.
    """

    target: Tensor
    history: Tensor
    at: Positions
    age: Tensor | None
    same_category: Tensor | None = None


@dataclass(frozen=True)
class Auxiliary:
    """A further binary classification that a model learns from.

    Attributes:
        logits: (n,).
        labels: (n,) float32; None for the labels of the batch.
    """

    logits: Tensor
    labels: Tensor | None


Answer = tuple[Tensor, Auxiliary | None]


class InterestModel(Protocol):
    """A user-behaviour model, equation (1) or what its paper has in its place.

    Attributes:
        dimension: E'.
    """

    dimension: int

    def __call__(self, behaviours: Behaviours) -> Answer:
        """The interest relative to the target, (B, E'), and an auxiliary task or None."""
        ...
