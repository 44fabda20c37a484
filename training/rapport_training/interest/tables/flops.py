"""Floating-point operations, counted as they are dispatched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count


def count_flops(step: Callable[[], object]) -> int:
    """Operations of a call: matrix products, convolutions and attention; an addition and a multiplication are two.

    Element-wise work and look-ups count nothing.
    """
    # Of fused attention the counter knows only the GPU's kernels; as products and softmax it is counted everywhere.
    backward = {torch.ops.aten.convolution_backward: convolution_backward_flops}
    with FlopCounterMode(display=False, custom_mapping=backward) as counted, sdpa_kernel(SDPBackend.MATH):
        step()
    return counted.get_total_flops()


def convolution_backward_flops(
    grad_out_shape: Sequence[int],
    x_shape: Sequence[int],
    w_shape: Sequence[int],
    _bias: object,
    _stride: object,
    _padding: object,
    _dilation: object,
    transposed: bool,
    _output_padding: object,
    _groups: int,
    output_mask: Sequence[bool],
    out_shape: Any = None,
) -> int:
    """The gradients of a convolution's input and of its weights cost as much as its forward pass, each.

    torch's own formula takes grouped convolutions for dense ones where weights are concerned, which multiplies the cost
    of a depthwise one by its channels.
    """
    return sum(output_mask[:2]) * conv_flop_count(list(x_shape), list(w_shape), list(grad_out_shape), transposed)
