"""What of a trained model is computed before it is exported: normalisation, folded into few operators."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from rapport_training.interest.ctr.ctr_model import CtrModel
from rapport_training.interest.ctr.models.dien import Dien
from rapport_training.interest.ctr.models.din import ActivationUnit
from rapport_training.interest.ctr.normalisation import Dice
from rapport_training.interest.ctr.positions import Positions
from rapport_training.interest.export.recurrence import folded_dien


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


class FoldedActivationUnit(nn.Module):
    """DIN's activation unit of one hidden layer in an evaluated model, for one history and many targets.

    For one target, the first layer is linear in the behaviour: its weights are made for each target, and products of
    each behaviour with each target never are. It gives z, what the sigmoid of Dice sees, and by it s, which is linear
    in z. Of Dice's two terms, alpha s is linear in the behaviour, too: one more weight for each target.
    """

    of_history: Tensor
    of_product: Tensor
    straight_history: Tensor
    straight_product: Tensor
    by_gated: Tensor
    by_share: Tensor

    def __init__(self, unit: ActivationUnit) -> None:
        super().__init__()
        dice = FoldedDice(unit.layers[0])  # type: ignore[arg-type]
        weight = unit.output.weight.detach()
        straight, gate = weight * dice.alpha, weight * dice.rest / dice.scale
        parts = {part: getattr(unit, part).weight.detach() for part in ("history", "product", "target")}
        bias = unit.target.bias.detach()
        for part in ("history", "product"):
            self.register_buffer(f"of_{part}", dice.scale[:, None] * parts[part])
            self.register_buffer(f"straight_{part}", straight @ parts[part])
        self.register_buffer("by_gated", gate)
        self.register_buffer("by_share", -gate * dice.shift)
        self.target = _linear(dice.scale[:, None] * parts["target"], dice.scale * bias + dice.shift)
        self.straight_target = _linear(straight @ parts["target"], straight @ bias + unit.output.bias.detach())

    def forward(self, target: Tensor, history: Tensor, at: Positions) -> Tensor:
        """(B, E) and (1, L, E) -> (B, L)."""
        behaviours = history[0].t()
        z = (target[:, None] * self.of_product + self.of_history) @ behaviours + self.target(target)[..., None]
        share = torch.sigmoid(z)
        gated = (self.by_gated @ (z * share) + self.by_share @ share).squeeze(1)
        straight = (target * self.straight_product + self.straight_history) @ behaviours
        return gated + straight + self.straight_target(target)


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
    return layer


def folded(model: CtrModel) -> CtrModel:
    """A copy for export, on the CPU, in evaluation mode; for one history and many targets it computes the same."""
    copied = copy.deepcopy(model).cpu().eval()
    _replace(copied, lambda part: isinstance(part, ActivationUnit) and len(part.layers) == 1, FoldedActivationUnit)
    _replace(copied, lambda part: isinstance(part, Dice), FoldedDice)
    _replace(copied, lambda part: isinstance(part, Dien), folded_dien)
    return copied


def _replace(module: nn.Module, wanted: Callable[[nn.Module], bool], by: Callable[[Any], nn.Module]) -> None:
    """Replaces parts of a module, in place."""
    for name, child in list(module.named_children()):
        if wanted(child):
            setattr(module, name, by(child))
        else:
            _replace(child, wanted, by)
