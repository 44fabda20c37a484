"""What of a trained model is computed before it is exported: normalisation, folded into few operators."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rapport_training.interest.ctr.ctr_model import CtrModel
from rapport_training.interest.ctr.models.din import ActivationUnit
from rapport_training.interest.ctr.normalisation import Dice
from rapport_training.interest.ctr.positions import Positions


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

    Of Dice's two terms, alpha s is linear in s, and s in history, target and their product: the output's weights are
    multiplied with the first layer's beforehand, and for each pair only the gated term remains.
    """

    of_history: Tensor
    of_product: Tensor
    of_target: Tensor
    of_bias: Tensor

    def __init__(self, unit: ActivationUnit) -> None:
        super().__init__()
        dice = FoldedDice(unit.layers[0])  # type: ignore[arg-type]
        self.unit, self.dice, self.gated = unit, dice, nn.Linear(len(dice.alpha), 1)
        weight = unit.output.weight.detach()
        with torch.no_grad():
            self.gated.weight.copy_(weight * dice.rest)
            self.gated.bias.copy_(unit.output.bias)
        straight = weight * dice.alpha
        self.register_buffer("of_history", straight @ unit.history.weight.detach())
        self.register_buffer("of_product", straight @ unit.product.weight.detach())
        self.register_buffer("of_target", straight @ unit.target.weight.detach())
        self.register_buffer("of_bias", straight @ unit.target.bias.detach())

    def forward(self, target: Tensor, history: Tensor, at: Positions) -> Tensor:
        """(B, E) and (1, L, E) -> (B, L)."""
        first = self.unit.first(target, history, at)
        gated = first * torch.sigmoid(first * self.dice.scale + self.dice.shift)
        by_pair = target @ (history[0] * self.of_product).t()
        alone = F.linear(history, self.of_history)[..., 0] + F.linear(target, self.of_target, self.of_bias)
        return self.gated(gated)[..., 0] + by_pair + alone


def folded(model: CtrModel) -> CtrModel:
    """A copy for export, on the CPU, in evaluation mode; for one history and many targets it computes the same."""
    copied = copy.deepcopy(model).cpu().eval()
    _replace(copied, lambda part: isinstance(part, ActivationUnit) and len(part.layers) == 1, FoldedActivationUnit)
    _replace(copied, lambda part: isinstance(part, Dice), FoldedDice)
    return copied


def _replace(module: nn.Module, wanted: Callable[[nn.Module], bool], by: Callable[[Any], nn.Module]) -> None:
    """Replaces parts of a module, in place; what a replacement holds is left alone."""
    for name, child in list(module.named_children()):
        if wanted(child):
            setattr(module, name, by(child))
        elif not isinstance(child, FoldedActivationUnit):
            _replace(child, wanted, by)
