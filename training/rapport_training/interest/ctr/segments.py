"""Sums over the behaviours of a row, where the behaviours of all rows stand one after another without padding."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def segment_sum(values: Tensor, starts: Tensor) -> Tensor:
    """(N, F) -> (B, F): the sums of consecutive parts; an empty part's is 0. Not differentiable.

    Args:
        values: (N, F).
        starts: (B,) int64, where each part begins.
    """
    if len(values) == 0:
        return values.new_zeros(len(starts), values.shape[1])
    # A quarter of the time of index_add and segment_reduce on a CPU.
    return F.embedding_bag(torch.arange(len(values), device=values.device), values, starts, mode="sum")


def sorted_sum(values: Tensor, indexes: Tensor, size: int) -> Tensor:
    """(N, F) -> (size, F): the sums of the values with equal indexes, in a fixed order. Not differentiable.

    Args:
        values: (N, F).
        indexes: (N,) int64 below `size`.
    """
    if len(values) == 0:
        return values.new_zeros(size, values.shape[1])
    counts = torch.bincount(indexes, minlength=size)
    order = torch.argsort(indexes, stable=True)
    return F.embedding_bag(order, values, counts.cumsum(0) - counts, mode="sum")


class Spread(torch.autograd.Function):
    """(B, F) -> (N, F): every behaviour gets its row's values."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, rows: Tensor, starts: Tensor) -> Tensor:
        """`rows` (N,) and `starts` (B,) int64 say which row a behaviour belongs to."""
        ctx.save_for_backward(starts)
        return values.index_select(0, rows)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """The sum over each row's behaviours."""
        return segment_sum(gradients[0].contiguous(), ctx.saved_tensors[0]), None, None


class WeightedSum(torch.autograd.Function):
    """Weights (N,) and values (N, F) -> (B, F), without a tensor of weighted values."""

    @staticmethod
    def forward(ctx: Any, weights: Tensor, values: Tensor, rows: Tensor, starts: Tensor) -> Tensor:
        """`rows` (N,) and `starts` (B,) int64 say which row a behaviour belongs to."""
        ctx.save_for_backward(weights, values, rows)
        if len(values) == 0:
            return values.new_zeros(len(starts), values.shape[1])
        everything = torch.arange(len(values), device=values.device)
        return F.embedding_bag(everything, values, starts, mode="sum", per_sample_weights=weights)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, None, None]:
        """Of both."""
        weights, values, rows = ctx.saved_tensors
        spread = gradients[0].index_select(0, rows)
        # A batched product of vectors reads both once; multiply and sum would write N x F in between.
        of_weights = torch.linalg.vecdot(values, spread) if ctx.needs_input_grad[0] else None
        return of_weights, spread.mul_(weights[:, None]), None, None


class Rows(torch.autograd.Function):
    """(n, F) -> (N, F): rows of a table, many of them several times."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, indexes: Tensor) -> Tensor:
        """`indexes` (N,) int64."""
        ctx.save_for_backward(indexes)
        ctx.size = len(table)
        return table.index_select(0, indexes)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Sums what belongs to one row, in a fixed order."""
        (indexes,) = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        if gradient.device.type == "cpu":  # adds one after the other; a GPU adds whatever comes first
            return gradient.new_zeros(ctx.size, gradient.shape[1]).index_add_(0, indexes, gradient), None
        return sorted_sum(gradient, indexes, ctx.size), None


class Pick(torch.autograd.Function):
    """(n, F) -> (N, F): some rows, none of them twice, so that gradients need no sums."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, indexes: Tensor) -> Tensor:
        """`indexes` (N,) int64, all different."""
        ctx.save_for_backward(indexes)
        ctx.size = len(values)
        return values.index_select(0, indexes)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Zero for rows that were not picked."""
        (indexes,) = ctx.saved_tensors
        zeros = gradients[0].new_zeros(ctx.size, *gradients[0].shape[1:])
        return zeros.index_copy_(0, indexes, gradients[0]), None
