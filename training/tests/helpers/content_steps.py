"""C-SFT and pre-training steps whose rows are known, by one process or several."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from content_log import recipe_of
from torch import Tensor, distributed
from torch.nn.parallel import DistributedDataParallel

from rapport_training.interest.content.csft.module import CsftModule
from rapport_training.interest.content.csft.pairs import Pairs
from rapport_training.interest.content.csft.triplets import encode
from rapport_training.interest.content.pictures import decode_all
from rapport_training.interest.content.pretraining.fit import plain_network
from rapport_training.interest.content.pretraining.module import PretrainingModule
from rapport_training.interest.data.log import BehaviourLog
from rapport_training.masked_image.timm_head import TimmMaskedImageHead

#: k, N P, and steps.
K, GLOBAL_BATCH, STEPS = 2, 6, 4
#: Items of the log that have picture and title.
USABLE = 91


def module_of(log: Path, distinct: bool, **csft: Any) -> CsftModule:
    """`GLOBAL_BATCH` pairs a step; with `distinct`, no item occurs twice among all triplets."""
    recipe = recipe_of(csft={"queue": K, **csft})
    network, catalogue = plain_network(recipe, BehaviourLog.open(log))
    pairs = GLOBAL_BATCH * STEPS
    rows = np.random.default_rng(0).permutation(USABLE)
    if not distinct:
        rows = rows % 7
    module = CsftModule(
        recipe,
        network,
        catalogue,
        Pairs(rows[-pairs:][::-1].copy(), rows[:pairs], decode_all([], 0, 32), {}),
        training=pairs,
    )
    module.prepare(GLOBAL_BATCH, STEPS)
    module.draw(np.random.default_rng(0))
    if distinct:
        module._other = rows[pairs : 2 * pairs]
    module.log = lambda *args, **options: None  # type: ignore[method-assign]
    return module


def pretraining_of(log: Path, epoch: int, language: str) -> PretrainingModule:
    """DDA in epoch 0, DMA in epoch 1; `USABLE` items with made-up image tokens."""
    recipe = recipe_of(language={"model": language})
    network, catalogue = plain_network(recipe, BehaviourLog.open(log))
    module = PretrainingModule(recipe, network, catalogue, steps=STEPS)
    torch.manual_seed(1)
    head = TimmMaskedImageHead(network.vision.trunk, 32, vocabulary=5, patch=8)
    module.add_masked_image(head, np.random.default_rng(0).integers(0, 5, (USABLE, 16)))
    module.log = lambda *args, **options: None  # type: ignore[method-assign]
    module.epoch = epoch
    return module


class Step(torch.nn.Module):
    """Makes a training step the forward pass, as Lightning's DDP strategy does."""

    def __init__(self, module: CsftModule | PretrainingModule) -> None:
        super().__init__()
        self.module = module

    def forward(self, rows: Tensor) -> Tensor:
        if isinstance(self.module, PretrainingModule):
            return self.module.alignment(rows) if self.module.epoch else self.module.adaptation(rows)
        triplets = self.module._triplets(rows)
        encoded = encode(
            self.module.network, self.module._catalogue, self.module._pairs.searched, triplets, self.module._shown
        )
        return self.module.loss(encoded, triplets, "train")


def train(module: CsftModule | PretrainingModule, rank: int, world: int) -> dict[str, Any]:
    """`STEPS` steps of plain gradient descent; what came of each, and the last gradients."""
    step = Step(module)
    names = [name for name, _ in step.named_buffers() if ".queue." in name]
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(step, names)
    unused = isinstance(module, PretrainingModule)
    wrapped = DistributedDataParallel(step, find_unused_parameters=unused) if world > 1 else step
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-4)  # hardly moves: rounding must not grow
    negatives, losses = [], []
    for number in range(STEPS):
        optimizer.zero_grad()
        rows = torch.arange(number * GLOBAL_BATCH, (number + 1) * GLOBAL_BATCH)[rank::world]
        loss = wrapped(rows)
        loss.backward()
        if world > 1:
            distributed.all_reduce(shared := loss.detach().clone() / world)
            losses.append(shared)
        else:
            losses.append(loss.detach())
        if isinstance(module, CsftModule):
            negatives.append(module.negatives.tolist())
        gradients = {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}
        optimizer.step()
    return {"negatives": negatives, "losses": torch.stack(losses), "gradients": gradients}
