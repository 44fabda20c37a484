"""Negatives that all processes share, with the gradients that one process would have had.

Every process computes the loss of the whole batch from gathered embeddings. Gathering adds the gradients of all
processes, each of the whole loss; `DistributedDataParallel` then takes the mean over processes. Both together are
exact: W equal losses, each divided by W.
"""

from __future__ import annotations

import torch
from torch import Tensor, distributed
from torch.distributed._functional_collectives import all_gather_tensor_autograd


def world_size() -> int:
    """Processes that train together; 1 outside of a distributed run."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def rank() -> int:
    """Which of them this is."""
    return distributed.get_rank() if world_size() > 1 else 0


def gather(values: Tensor) -> Tensor:
    """(n, ...) of each process -> (W n, ...), in the order of the processes; n must be the same everywhere."""
    if world_size() == 1:
        return values
    values = values.contiguous()
    if values.requires_grad:
        return all_gather_tensor_autograd(values, gather_dim=0, group=distributed.group.WORLD)
    parts = [torch.empty_like(values) for _ in range(world_size())]
    distributed.all_gather(parts, values)
    return torch.cat(parts)


def share(values: Tensor) -> Tensor:
    """This process's part of (n, ...) rows that all hold; the last row is repeated so that parts are equal."""
    if world_size() == 1:
        return values
    size = -(-len(values) // world_size())
    missing = size * world_size() - len(values)
    padded = torch.cat([values, values[-1:].expand(missing, *values.shape[1:])])
    return padded[rank() * size : (rank() + 1) * size]
