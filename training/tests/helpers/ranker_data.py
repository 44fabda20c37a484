"""A small prepared log with categories, genres, groups of users and content, and models with random weights over it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from rapport_training.interest.ctr.ctr_model import CtrModel
from rapport_training.interest.ctr.normalisation import BatchNorm
from rapport_training.interest.ctr.recipe import CtrRecipe
from rapport_training.interest.data.content_table import InMemoryContent
from rapport_training.interest.data.log import About, BehaviourLog
from rapport_training.interest.data.log_writer import LogWriter, write_log
from rapport_training.interest.data.prepare import prepare
from rapport_training.interest.data.prepared import PreparedLog
from rapport_training.interest.data.settings import PrepareSettings

ENCODER = "c" * 64
DIM = 6
_ITEMS, _USERS, _EVENTS = 40, 12, 400
_GENRES = ("comedy", "drama", "war")


def small_log(folder: Path) -> BehaviourLog:
    """Items have a title, a category and one or two genres, users have a group; one category comes late."""
    rng = np.random.default_rng(0)

    def fill(writer: LogWriter) -> None:
        items = [f"item{number}" for number in range(_ITEMS)]
        writer.add_items(
            id=items,
            title=[f"Title {number}" for number in range(_ITEMS)],
            category=["late" if number >= _ITEMS - 4 else "ab"[number % 2] for number in range(_ITEMS)],
            attributes=[{"genre": list(_GENRES[: 1 + number % 2])} for number in range(_ITEMS)],
        )
        users = [f"user{number}" for number in range(_USERS)]
        writer.add_users(id=users, attributes=[{"group": ["xy"[number % 2]]} for number in range(_USERS)])
        for time in range(_EVENTS):
            known = _ITEMS if time > 0.95 * _EVENTS else _ITEMS - 4
            item = int(rng.integers(0, known)) if time < _EVENTS - 3 else _ITEMS - 1
            writer.add_events(
                user=[f"user{rng.integers(0, _USERS)}"],
                item=[f"item{item}"],
                time=[1_600_000_000 + 7200 * time],
                label=[float(rng.integers(0, 2))],
            )

    about = About("small", "made by a test", licence="CC0-1.0")
    return write_log(about, fill, folder, memory_bytes=1 << 20)


def small_data(folder: Path) -> tuple[BehaviourLog, PreparedLog, InMemoryContent]:
    """The log, its samples, and content of all items but the first two."""
    log = small_log(folder / "log")
    prepared = prepare(log, PrepareSettings(), folder / "prepared")
    vectors = np.random.default_rng(1).standard_normal((len(prepared.item_ids), DIM), dtype=np.float32)
    vectors[2:4] = 0.0
    return log, prepared, InMemoryContent(vectors, ENCODER)


def random_model(prepared: PreparedLog, **settings: Any) -> CtrModel:
    """A model whose weights and running statistics are random, but large enough to matter; in evaluation mode."""
    chosen = {"embedding_dim": 4, "hidden": (8,), "attention_hidden": (8,), "top_k": 3, "history_length": 12}
    recipe = CtrRecipe(name="small", **{**chosen, "heads": 2, **settings})
    torch.manual_seed(3)
    tables = (prepared.item_fields, prepared.item_values, prepared.user_fields, prepared.user_values)
    model = CtrModel(recipe, *tables, DIM if recipe.uses_content else None)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.5 * torch.randn_like(parameter))
        for module in model.modules():
            if isinstance(module, BatchNorm):
                module.running_mean.copy_(0.2 * torch.randn_like(module.running_mean))
                module.running_var.copy_(0.5 + torch.rand_like(module.running_var))
    return model.eval()
