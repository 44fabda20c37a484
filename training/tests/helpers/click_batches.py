"""Random batches and models for the tests of click-through-rate models."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from rapport_training.interest.batch import Batch, ContentRows, Field
from rapport_training.interest.ctr.ctr_model import CtrModel
from rapport_training.interest.ctr.recipe import CtrRecipe

ITEMS, USERS, CATEGORIES, DIMENSION = 40, 12, 7, 5

#: Every model in the variants that take other paths through the code.
VARIANTS: dict[str, dict[str, Any]] = {
    "average": {"model": "average"},
    "din": {"model": "din", "attention_hidden": [6, 4]},
    "dien": {"model": "dien", "auxiliary_weight": 1.0},
    "bst": {"model": "bst", "heads": 2, "pooling": "mean"},
    "bst-target": {"model": "bst", "heads": 2, "pooling": "target"},
    "bst-layers": {"model": "bst", "heads": 2, "layers": 2, "pooling": "target", "position": "age"},
    "sim-soft": {"model": "sim", "heads": 2, "top_k": 3, "auxiliary_weight": 1.0, "short_length": 2},
    "sim-hard": {"model": "sim", "heads": 2, "top_k": 3, "search": "hard", "position": "age"},
    "twin": {"model": "twin", "heads": 2, "top_k": 3},
}


def recipe_of(variant: str, **options: Any) -> CtrRecipe:
    """A small model with embeddings large enough to matter."""
    small = {"embedding_dim": 4, "hidden": [8], "embedding_std": 0.5, "dropout": 0.0, "use_user_id": True}
    return CtrRecipe(name=variant, **{**small, **VARIANTS[variant], **options})


def model_of(recipe: CtrRecipe, seed: int = 0) -> CtrModel:
    """Random weights, and running statistics that are not those of a new network."""
    rng = np.random.default_rng(seed)
    items = np.stack([np.arange(ITEMS), rng.integers(2, CATEGORIES, ITEMS), *rng.integers(0, 5, (2, ITEMS))], axis=1)
    users = np.stack([np.arange(USERS), rng.integers(2, 4, USERS)], axis=1)
    items[0] = users[0] = 0
    torch.manual_seed(seed)
    item_fields = [Field("item", ITEMS), Field("category", CATEGORIES), Field("genre", 5, columns=2)]
    user_fields = [Field("user", USERS), Field("gender", 4)]
    dimension = DIMENSION if recipe.uses_content else None
    return CtrModel(recipe, item_fields, items, user_fields, users, dimension)


def batch_of(lengths: list[int], *, content: bool, seed: int = 0, extra: int = 0) -> Batch:
    """Random items before random targets; `extra` columns of padding more than the longest history needs."""
    rng = torch.Generator().manual_seed(seed)
    width = max(1, *lengths) + extra
    length = torch.tensor(lengths)
    real = torch.arange(width) < length[:, None]
    draw = torch.randint(2, ITEMS, (len(lengths), max(1, *lengths)), generator=rng)
    history = torch.nn.functional.pad(draw, (0, extra)) * real
    ages = torch.nn.functional.pad(torch.rand(draw.shape, generator=rng) * 100, (0, extra)) * real
    item = torch.randint(2, ITEMS, (len(lengths),), generator=rng)
    vectors = torch.randn(ITEMS, DIMENSION, generator=rng)
    vectors[0] = 0
    return Batch(
        user=torch.randint(1, USERS, (len(lengths),), generator=rng),
        item=item,
        history=history,
        length=length,
        label=torch.randint(0, 2, (len(lengths),), generator=rng).float(),
        age=ages,
        content=ContentRows(vectors, item, history) if content else None,
    )


def padded_inputs(model: CtrModel, batch: Batch, history: slice = slice(None)) -> list[torch.Tensor | None]:
    """What `CtrModel.score_values` takes; `history` chooses whose histories and users are given."""
    mask = torch.arange(batch.history.shape[1]) < batch.length[:, None]
    content = batch.content
    return [
        model.user_values[batch.user][history],
        model.item_values[batch.item],
        model.item_values[batch.history][history],
        mask[history],
        None if batch.age is None else batch.age[history],
        content and content.vectors[content.item],
        content and content.vectors[content.history][history],
    ]
