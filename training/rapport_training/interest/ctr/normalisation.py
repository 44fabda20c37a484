"""Batch normalisation over all processes' rows, and Dice, which is built on it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from rapport_training.distributed import gather, world_size


class BatchNorm(nn.BatchNorm1d):
    """`nn.BatchNorm1d` for (..., F) whose batch is that of all processes, also on CPUs.

    A batch of fewer than two rows, such as the behaviours of people without any, is normalised with the running
    statistics. Under mixed precision it computes in float32, in which counts and sums over many rows are exact enough.
    """

    def forward(self, values: Tensor) -> Tensor:
        """(n, F) in training, (..., F) in evaluation."""
        values = at_least_float32(values)
        if self.training and world_size() > 1:
            return self._shared(values)
        if self.training and len(values) >= 2:
            return super().forward(values)
        return self._normalise(values, self.running_mean, self.running_var)  # type: ignore[arg-type]

    def _normalise(self, values: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        scale = torch.rsqrt(variance + self.eps)
        if self.affine:
            scale = scale * self.weight
        shift = -mean * scale
        return values * scale + (shift + self.bias if self.affine else shift)

    def _shared(self, values: Tensor) -> Tensor:
        """Mean and variance of the rows that all processes have; they may have different numbers of rows."""
        own = torch.cat([values.sum(dim=0), values.new_tensor([len(values)])])
        whole = gather(own[None]).sum(dim=0)
        count = whole[-1].detach()
        if count < 2:
            return self._normalise(values, self.running_mean, self.running_var)  # type: ignore[arg-type]
        mean = whole[:-1] / count
        squares = gather((values - mean).square().sum(dim=0)[None]).sum(dim=0)
        variance = squares / count
        with torch.no_grad():
            assert self.running_mean is not None
            assert self.running_var is not None
            assert self.momentum is not None
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(squares / (count - 1), self.momentum)
        return self._normalise(values, mean, variance)


def at_least_float32(values: Tensor) -> Tensor:
    """Half precision becomes float32, anything else stays."""
    return values.float() if values.element_size() < 4 else values


class Dice(nn.Module):
    """Data-adaptive activation, equation (5) of DIN (Zhou et al. 2018): p s + (1 - p) alpha s, p = sigmoid(norm(s))."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.norm = BatchNorm(size, eps=1e-8, momentum=0.01, affine=False)
        self.alpha = nn.Parameter(torch.zeros(size))

    def forward(self, values: Tensor) -> Tensor:
        """(..., F) -> the same."""
        values = at_least_float32(values)
        if self.training and world_size() == 1 and len(values) >= 2:
            return _Dice.apply(values, self.alpha, self.norm)
        gate = torch.sigmoid(self.norm(values))
        return values * torch.lerp(self.alpha.to(gate.dtype), gate.new_ones(()), gate)


class _Dice(torch.autograd.Function):
    """Dice with its backward pass by hand, which reads and writes the activations half as often."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, alpha: Tensor, norm: BatchNorm) -> Tensor:
        """(n, F), (F,)."""
        running = norm.running_mean, norm.running_var
        standard, mean, scale = torch.native_batch_norm(values, None, None, *running, True, norm.momentum, norm.eps)
        share = standard.sigmoid_()
        ctx.save_for_backward(values, alpha, share, mean, scale)
        ctx.eps = norm.eps
        return values * torch.lerp(alpha, share.new_ones(()), share)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        """With p the share and g the gradient: g (alpha + (1 - alpha) p) and what comes through the norm."""
        values, alpha, share, mean, scale = ctx.saved_tensors
        product = gradients[0] * values
        rest = torch.addcmul(product, product, share, value=-1)
        of_standard = rest * share * (1 - alpha)
        direct = gradients[0] * torch.lerp(alpha, share.new_ones(()), share)
        through = torch.ops.aten.native_batch_norm_backward(
            of_standard, values, None, None, None, mean, scale, True, ctx.eps, [True, False, False]
        )[0]
        return direct.add_(through), rest.sum(dim=0), None
