"""Two processes compute the loss, the gradients and the statistics that one computes on the same global batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from click_batches import batch_of, model_of, recipe_of
from torch import Tensor, distributed
from torch.nn.parallel import DistributedDataParallel
from two_processes import join, leave, run_two

from rapport_training.interest.batch import Batch, ContentRows
from rapport_training.interest.ctr.module import CtrModule

#: DIEN's auxiliary task draws at random, each process for itself.
VARIANTS = ("average", "din", "bst", "sim-soft", "twin")
LENGTHS = [3, 0, 6, 1, 2, 9, 4, 5]
OPTIONS: dict[str, Any] = {"mim": True, "activation": "dice", "lazy_rows_above": 20, "auxiliary_weight": 0.5}


class Step(torch.nn.Module):
    """Makes the loss the forward pass, as Lightning's DDP strategy does."""

    def __init__(self, variant: str) -> None:
        super().__init__()
        recipe = recipe_of(variant, **OPTIONS)
        self.module = CtrModule(recipe, model_of(recipe), []).train()

    def forward(self, batch: Batch) -> Tensor:
        return self.module.loss(batch)


def share_of(rank: int) -> Batch:
    batch, rows = batch_of(LENGTHS, content=True), torch.arange(8)[rank * 4 : rank * 4 + 4]
    parts = {name: value[rows] for name, value in vars(batch).items() if isinstance(value, Tensor)}
    assert batch.content is not None
    return Batch(
        **parts, content=ContentRows(batch.content.vectors, batch.content.item[rows], batch.content.history[rows])
    )


def result_of(step: Step, loss: Tensor) -> dict[str, Any]:
    model = step.module.model
    gradients = {name: p.grad.to_dense() for name, p in model.named_parameters() if p.grad is not None}
    running = {name: value.clone() for name, value in model.named_buffers() if "running" in name}
    return {"loss": loss.detach(), "gradients": gradients, "running": running}


def one_of_two(rank: int, port: int, out: Path) -> None:
    join(rank, port)
    results, kept = {}, []  # what is averaged must outlive its backward pass
    for variant in VARIANTS:
        step = Step(variant)
        kept.append(DistributedDataParallel(step))
        loss = kept[-1](share_of(rank))
        loss.backward()
        results[variant] = result_of(step, loss)
        distributed.all_reduce(results[variant]["loss"])
    if rank == 0:
        torch.save(results, out)
    leave()


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the first of two processes has, for every variant: starting them is what takes time."""
    out = tmp_path_factory.mktemp("two") / "two.pt"
    run_two(one_of_two, out)
    return dict(torch.load(out))


@pytest.mark.parametrize("variant", VARIANTS)
def test_two_processes_agree_with_one(variant: str, two: dict[str, Any]) -> None:
    step = Step(variant)
    loss = step(batch_of(LENGTHS, content=True))
    loss.backward()
    one = result_of(step, loss)
    torch.testing.assert_close(two[variant]["loss"] / 2, one["loss"], rtol=1e-5, atol=1e-6)
    for kind in ("gradients", "running"):
        assert two[variant][kind].keys() == one[kind].keys()
        for name, value in one[kind].items():
            found = two[variant][kind][name]
            torch.testing.assert_close(found, value, rtol=1e-4, atol=2e-6, msg=lambda m, n=name: f"{n}: {m}")
