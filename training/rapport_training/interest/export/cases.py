"""One person, a history and candidates: as a training batch, and as the inputs of an exported graph."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from rapport_edge.faces import FloatArray
from rapport_edge.ranking.history import SECONDS_PER_DAY
from rapport_training.interest.batch import FIRST, UNKNOWN, Batch, ContentRows
from rapport_training.interest.ctr.ctr_model import CtrModel
from rapport_training.interest.data.content_table import ContentTable
from rapport_training.interest.data.prepared import PreparedLog


@dataclass(frozen=True)
class Case:
    """What is ranked for whom, in the indexes of the prepared samples.

    Attributes:
        user: index.
        items: (n,) int64, indexes of the candidates.
        history: (l,) int64, indexes of what came before, oldest first; may be empty.
        age: (l,) float32, days.
        item_content: (n, D) float32, or None for a model without content.
        history_content: (l, D) float32, likewise.
    """

    user: int
    items: NDArray[np.int64]
    history: NDArray[np.int64]
    age: FloatArray
    item_content: FloatArray | None
    history_content: FloatArray | None

    def batch(self) -> Batch:
        """The same as training reads it: one row per candidate."""
        count, length = len(self.items), len(self.history)
        padded = np.zeros((count, max(1, length)), np.int64)
        padded[:, :length] = self.history
        age = np.zeros(padded.shape, np.float32)
        age[:, :length] = self.age
        return Batch(
            user=torch.full((count,), self.user),
            item=torch.from_numpy(self.items),
            history=torch.from_numpy(padded),
            length=torch.full((count,), length),
            label=torch.zeros(count),
            age=torch.from_numpy(age),
            content=self._content(padded.shape),
        )

    def _content(self, shape: tuple[int, ...]) -> ContentRows | None:
        if self.item_content is None or self.history_content is None:
            return None
        count, length = len(self.items), len(self.history)
        zero = np.zeros((1, self.item_content.shape[1]), np.float32)
        history = np.zeros(shape, np.int64)
        history[:, :length] = 1 + count + np.arange(length)
        return ContentRows(
            vectors=torch.from_numpy(np.concatenate([zero, self.item_content, self.history_content])),
            item=1 + torch.arange(count),
            history=torch.from_numpy(history),
        )


def scores_of(model: CtrModel, case: Case) -> FloatArray:
    """(n,) probabilities of a click, computed as in training's evaluation."""
    with torch.inference_mode():
        return np.asarray(torch.sigmoid(model(case.batch())).numpy(), dtype=np.float32)


def random_cases(model: CtrModel, content_dim: int | None, longest: int, count: int, seed: int = 0) -> Iterator[Case]:
    """Any items, users and vectors; empty, short and full histories; some items without content."""
    rng = np.random.default_rng(seed)
    items, users = len(model.item_values), len(model.user_values)
    for number in range(count):
        length = (0, 1, longest)[number] if number < 3 else int(rng.integers(0, longest + 1))
        candidates = 1 if number == 1 else int(rng.integers(2, 50))
        yield Case(
            user=int(rng.integers(1, users)),
            items=rng.integers(1, items, candidates),
            history=rng.integers(1, items, length),
            age=np.sort(rng.exponential(30, length).astype(np.float32))[::-1].copy(),
            item_content=_some_vectors(rng, candidates, content_dim),
            history_content=_some_vectors(rng, length, content_dim),
        )


def golden_case(model: CtrModel, content: ContentTable | None, longest: int, candidates: int, seed: int = 0) -> Case:
    """Nobody's choices among the catalogue's items: a bundle that is handed on must not hold a person's history."""
    rng = np.random.default_rng(seed)
    items, history = (rng.integers(FIRST, len(model.item_values), count) for count in (candidates, longest))
    return Case(
        user=UNKNOWN,
        items=items,
        history=history,
        age=np.sort(rng.exponential(30, longest).astype(np.float32))[::-1].copy(),
        item_content=None if content is None else content.rows(items),
        history_content=None if content is None else content.rows(history),
    )


def real_cases(
    prepared: PreparedLog, content: ContentTable | None, longest: int, count: int, candidates: int, seed: int = 0
) -> Iterator[Case]:
    """Histories of test samples, each with its own target and other samples' targets as candidates."""
    rng = np.random.default_rng(seed)
    samples = prepared.samples("test")
    for row in rng.choice(len(samples), min(count, len(samples)), replace=False):
        start, end = int(samples.start[row]), int(samples.end[row])
        places = slice(max(start, end - longest), end)
        history = np.asarray(prepared.sequence[places], dtype=np.int64)
        others = np.asarray(samples.item)[rng.integers(0, len(samples), candidates - 1)]
        items = np.concatenate([[samples.item[row]], others]).astype(np.int64)
        age = np.zeros(len(history), np.float32)
        if prepared.sequence_time is not None:
            age = ((samples.time[row] - prepared.sequence_time[places]) / SECONDS_PER_DAY).astype(np.float32)
        yield Case(
            user=int(samples.user[row]),
            items=items,
            history=history,
            age=age,
            item_content=None if content is None else content.rows(items),
            history_content=None if content is None else content.rows(history),
        )


def _some_vectors(rng: np.random.Generator, count: int, dim: int | None) -> FloatArray | None:
    if dim is None:
        return None
    vectors = rng.standard_normal((count, dim), dtype=np.float32)
    vectors[rng.random(count) < 0.2] = 0.0
    return vectors
