"""What of a trained model is computed before it is exported: normalisation, folded into few operators."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from rapport_training.interest.ctr.ctr_model import CtrModel
from rapport_training.interest.ctr.normalisation import Dice


class FoldedDice(nn.Module):
    """`Dice` of an evaluated model: s (alpha + (1 - alpha) sigmoid(scale s + shift)).

    The activations of all pairs of candidate and behaviour are the largest tensors of a ranking; `torch.lerp` alone
    becomes eight passes over them in ONNX.
    """

    scale: Tensor
    shift: Tensor
    alpha: Tensor
    rest: Tensor

    def __init__(self, dice: Dice) -> None:
        super().__init__()
        norm = dice.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = torch.rsqrt(norm.running_var + norm.eps)
        self.register_buffer("scale", scale)
        self.register_buffer("shift", -norm.running_mean * scale)
        self.register_buffer("alpha", dice.alpha.detach().clone())
        self.register_buffer("rest", 1 - dice.alpha.detach())

    def forward(self, values: Tensor) -> Tensor:
        """(..., F) -> the same."""
        return values * torch.addcmul(self.alpha, self.rest, torch.sigmoid(values * self.scale + self.shift))


def folded(model: CtrModel) -> CtrModel:
    """A copy for export, on the CPU, in evaluation mode; it computes the same."""
    copied = copy.deepcopy(model).cpu().eval()
    for parent in list(copied.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Dice):
                setattr(parent, name, FoldedDice(child))
    return copied
