"""A row's largest scores, and which are taken of equal ones."""

from __future__ import annotations

import torch
from torch import Tensor


def best_columns(scores: Tensor, count: int) -> Tensor:
    """(B, L) -> (B, count) columns of the largest scores; of equal ones, the last.

    Which of equal ones `torch.topk` takes is not defined, and an item that comes twice in a history has equal scores.
    """
    width = scores.shape[1]
    if torch.compiler.is_exporting():  # ONNX's TopK takes the first of equal ones
        return width - 1 - scores.flip(1).topk(count, dim=1).indices
    if count == width:
        return torch.arange(width, device=scores.device).expand(len(scores), -1)
    bits = (scores.float() + 0.0).contiguous().view(torch.int32).long()
    order = torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits)  # as floats are ordered
    return (order * width + torch.arange(width, device=scores.device)).topk(count, dim=1).indices
