"""Two processes that share their negatives compute what one process computes on the same batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel
from two_processes import join, leave, run_two

from rapport_training.demographic.dataset import Batch
from rapport_training.demographic.module import ContrastiveModule
from rapport_training.demographic.recipe import MaskedImage, Recipe, Stage

VISION = {"image_size": 32, "patch_size": 8, "width": 32, "head_width": 16, "layers": 2}
MODEL = {
    "embed_dim": 16,
    "quick_gelu": True,
    "vision_cfg": VISION,
    "text_cfg": {"context_length": 32, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}
FACES, PATCHES, VOCABULARY = 12, 16, 11


class Captions:
    """Stands where `CaptionIndex` stands, without a data set."""

    def __init__(self, numbers: list[int]) -> None:
        self.texts = [f"person number {number}" for number in range(max(numbers) + 1)]
        self.of_face = np.array([numbers])


def module_of(recipe: Recipe, captions: list[int]) -> ContrastiveModule:
    torch.manual_seed(0)
    index = {view: Captions(captions) for view in recipe.used_views}
    module = ContrastiveModule(recipe, index, index, steps=10)  # type: ignore[arg-type]
    if recipe.masked_image is not None:
        module.add_masked_image(VOCABULARY, np.arange(FACES * PATCHES).reshape(FACES, PATCHES) % VOCABULARY)
    module.log = lambda *args, **options: None  # type: ignore[method-assign]
    return module


def faces() -> Tensor:
    return torch.randint(0, 256, (FACES, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def batch_of(rows: Tensor) -> Batch:
    return Batch(faces()[rows], rows, faces()[rows])


def contrastive(module: ContrastiveModule, batch: Batch) -> Tensor:
    return module._contrastive("train", module.encode_images(batch.crops), batch.rows, wording=0)


class Step(torch.nn.Module):
    """Makes a training step the forward pass, as Lightning's DDP strategy does."""

    def __init__(self, module: ContrastiveModule) -> None:
        super().__init__()
        self.module = module

    def forward(self, batch: Batch) -> Tensor:
        return contrastive(self.module, batch)


def gradients(module: ContrastiveModule) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}


def close_to_its_largest(found: Tensor, expected: Tensor, name: str) -> None:
    """Within 1e-5 of the largest entry: what float32 leaves of sums whose terms cancel."""
    assert float((found - expected).abs().max()) <= 1e-5 * max(1.0, float(expected.abs().max())), name


def recipe_of(**options: Any) -> Recipe:
    return Recipe(name="test", model=MODEL, stages=[Stage(from_epoch=0, size=32)], **options)


CASES = {
    "equal captions are positives": ("positives", [0, 1, 2, 0, 1, 0, 3, 2, 4, 0, 1, 1]),
    "equal captions are negatives": ("negatives", [0, 1, 2, 0, 1, 0, 3, 2, 4, 0, 1, 1]),
    "all captions differ": ("positives", list(range(FACES))),
    "fewer captions than processes": ("positives", [0] * FACES),
}


def module_in(case: str) -> ContrastiveModule:
    equal_captions, captions = CASES[case]
    return module_of(recipe_of(equal_captions=equal_captions), captions)


def one_of_two(rank: int, port: int, out: Path) -> None:
    join(rank, port)
    results, kept = {}, []  # what is averaged must outlive its backward pass
    for case in CASES:
        step = Step(module_in(case))
        kept.append(DistributedDataParallel(step))
        loss = kept[-1](batch_of(torch.arange(FACES)[rank::2]))
        loss.backward()
        results[case] = {"loss": loss.detach(), "gradients": gradients(step.module)}
    if rank == 0:
        torch.save(results, out)
    leave()


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the first of two processes has, in every case: starting them is what takes time."""
    out = tmp_path_factory.mktemp("two") / "two.pt"
    run_two(one_of_two, out)
    return dict(torch.load(out))


@pytest.mark.parametrize("case", CASES)
def test_two_processes_agree_with_one(case: str, two: dict[str, Any]) -> None:
    alone = module_in(case)
    # The order in which the processes' parts stand in the gathered batch.
    rows = torch.cat([torch.arange(FACES)[0::2], torch.arange(FACES)[1::2]])
    loss = contrastive(alone, batch_of(rows))
    loss.backward()
    torch.testing.assert_close(two[case]["loss"], loss.detach(), rtol=1e-5, atol=1e-6)
    expected = gradients(alone)
    assert two[case]["gradients"].keys() == expected.keys()
    for name, gradient in expected.items():
        close_to_its_largest(two[case]["gradients"][name], gradient, name)


@pytest.mark.parametrize("micro_batch", [1, 5, 12])
def test_micro_batches_change_neither_loss_nor_gradients(micro_batch: int) -> None:
    captions = [0, 1, 2, 0, 1, 0, 3, 2, 4, 0, 1, 1]
    found = {}
    for size in (0, micro_batch):
        module = module_of(recipe_of(micro_batch=size, masked_image=MaskedImage(kind="random")), captions)
        batch = batch_of(torch.arange(FACES))
        rng = np.random.default_rng(3)
        loss = contrastive(module, batch) + module._masked_image(batch, rng)
        loss.backward()
        found[size] = loss.detach(), gradients(module)
    torch.testing.assert_close(found[micro_batch][0], found[0][0], rtol=1e-6, atol=0)
    for name, gradient in found[0][1].items():
        close_to_its_largest(found[micro_batch][1][name], gradient, name)
