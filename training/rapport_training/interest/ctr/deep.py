"""The deep network that all behaviour models stand before."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from rapport_training.interest.ctr.dropout import Dropout
from rapport_training.interest.ctr.normalisation import BatchNorm, Dice


class DeepNetwork(nn.Module):
    """Linear layers with batch normalisation, activation and dropout, then one logit."""

    def __init__(self, inputs: int, hidden: Sequence[int], activation: str, dropout: float, batch_norm: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for size in hidden:
            layers.append(nn.Linear(inputs, size))
            if batch_norm:
                layers.append(BatchNorm(size))
            layers.append(Dice(size) if activation == "dice" else nn.ReLU())
            if dropout > 0:
                layers.append(Dropout(dropout))
            inputs = size
        self.layers = nn.Sequential(*layers, nn.Linear(inputs, 1))

    def forward(self, features: Tensor) -> Tensor:
        """(B, inputs) -> (B,) logits."""
        return self.layers(features)[:, 0]


def initialise(module: nn.Module) -> None:
    """Linear layers as Glorot and Bengio (2010) start them, biases at zero; for `nn.Module.apply`."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_normal_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
