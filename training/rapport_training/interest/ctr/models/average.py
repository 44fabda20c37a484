"""Average pooling: the mean of the behaviours' embeddings (Section 4.1.2)."""

from __future__ import annotations

from torch import nn

from rapport_training.interest.ctr.models.interest import Answer, Behaviours


class AveragePooling(nn.Module):
    """The interest does not depend on the target.

    Attributes:
        dimension: E.
    """

    def __init__(self, embedding: int) -> None:
        super().__init__()
        self.dimension = embedding

    def forward(self, behaviours: Behaviours) -> Answer:
        """(B, E); 0 for empty histories."""
        return behaviours.at.mean(behaviours.history), None
