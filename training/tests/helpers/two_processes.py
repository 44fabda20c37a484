"""Two processes that gather over gloo, forked from one that has imported what takes seconds."""

from __future__ import annotations

import os
from collections.abc import Callable
from multiprocessing import get_context
from typing import Any, Final, NoReturn

import torch
from torch import distributed, multiprocessing
from torch.distributed import TCPStore

#: In this order: rapport_training prepares torch for torchvision, which lightning imports.
_IMPORTED: Final = ["rapport_training", "lightning.pytorch", "open_clip", "timm"]


def run_two(function: Callable[..., None], *arguments: Any) -> None:
    """Calls `function(rank, port, *arguments)` in two processes, which call `join` first and `leave` last."""
    # The store listens from here on: a port that is only looked for may be somebody else's by the time it is used.
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    get_context("forkserver").set_forkserver_preload(_IMPORTED)
    multiprocessing.start_processes(function, (store.port, *arguments), nprocs=2, start_method="forkserver")


def join(rank: int, port: int) -> None:
    """Makes this process one of the two."""
    torch.set_num_threads(1)
    store = TCPStore("127.0.0.1", port, is_master=False)
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=2)


def leave() -> NoReturn:
    """Ends this process without freeing anything.

    Freeing a DistributedDataParallel may deadlock in torch 2.13: it holds the GIL that gloo's thread needs to end its
    last work.
    """
    distributed.barrier()
    distributed.destroy_process_group()
    os._exit(0)
