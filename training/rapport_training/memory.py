"""Large batches in little memory: the contrastive loss needs the whole batch's embeddings, but not its activations."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from rapport_edge.errors import SettingsError


def in_micro_batches(encode: Callable[[Tensor], Tensor], inputs: Tensor, size: int) -> Tensor:
    """`encode(inputs)`, `size` rows at a time, keeping the activations of none.

    The backward pass computes each part again, so that one part's activations exist at a time. Loss and gradients are
    those of the whole batch, as in GradCache (Gao et al. 2021), where accumulating losses of small batches would leave
    each with few negatives.

    Args:
        encode: rows to embeddings, row by row.
        inputs: (n, ...).
        size: 0 to encode all at once.
    """
    if size == 0 or len(inputs) <= size:
        return encode(inputs)
    if not torch.is_grad_enabled():
        return torch.cat([encode(part) for part in inputs.split(size)])
    return torch.cat([checkpoint(encode, part, use_reentrant=False) for part in inputs.split(size)])


def refuse_batch_statistics(model: nn.Module) -> None:
    """Batch normalisation would see parts instead of the batch, and see them twice.

    Raises:
        SettingsError: if the model has such a layer.
    """
    if any(isinstance(module, _BatchNorm) for module in model.modules()):
        raise SettingsError(
            "micro_batch does not go with batch normalisation: set it to 0, or take another image tower"
        )
