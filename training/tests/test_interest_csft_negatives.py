"""How many negatives a query has, in one process: 2 N (k + 1) - 1, less what is masked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from content_log import write_content_log
from content_steps import GLOBAL_BATCH, STEPS, USABLE, K, module_of, train
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport_training.interest.content.csft.hard_negatives import SameCategory
from rapport_training.interest.content.csft.losses import info_nce, no_negatives
from rapport_training.interest.content.csft.negative_queue import NegativeQueue
from rapport_training.interest.content.csft.triplets import Encoded, Triplets, encode


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_content_log(tmp_path_factory.mktemp("logs") / "styles", items=USABLE + 5).path


def test_one_process_has_2n_k_plus_1_minus_1_negatives_once_the_queue_is_full(log: Path) -> None:
    negatives = train(module_of(log, distinct=True), 0, 1)["negatives"]
    full = [2 * GLOBAL_BATCH * (min(step, K) + 1) - 1 for step in range(STEPS)]
    assert [set(counts) for counts in negatives] == [{count} for count in full]
    assert full[-1] == 2 * GLOBAL_BATCH * (K + 1) - 1


def test_without_space_and_time_the_other_pairs_are_the_negatives(log: Path) -> None:
    negatives = train(module_of(log, distinct=True, negatives="batch"), 0, 1)["negatives"]
    assert [set(counts) for counts in negatives] == [{GLOBAL_BATCH - 1}] * STEPS


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_double_and_the_query_itself_take_one_off(data: st.DataObject) -> None:
    ids = data.draw(st.lists(st.integers(0, 6), min_size=4, max_size=20))
    positive = data.draw(st.lists(st.integers(0, len(ids) - 1), min_size=1, max_size=4))
    queries = data.draw(st.lists(st.integers(0, 9), min_size=len(positive), max_size=len(positive)))
    items = [ids[column] for column in positive]
    masked = no_negatives(*(torch.tensor(part) for part in (ids, items, queries, positive)))
    for row, column in enumerate(positive):
        expected = [n != column and ids[n] in (items[row], queries[row]) for n in range(len(ids))]
        assert masked[row].tolist() == expected


def test_the_loss_is_equation_5() -> None:
    torch.manual_seed(0)
    queries, candidates = (torch.nn.functional.normalize(torch.randn(n, 5), dim=1) for n in (3, 7))
    positive, masked = torch.tensor([0, 2, 4]), torch.zeros(3, 7, dtype=torch.bool)
    masked[1, 5] = True
    expected = []
    for row in range(3):
        cosines = [4.0 * float(queries[row] @ candidates[n]) for n in range(7) if not masked[row, n]]
        right = 4.0 * float(queries[row] @ candidates[positive[row]])
        expected.append(-np.log(np.exp(right) / np.exp(cosines).sum()))
    found = info_nce(queries, candidates, positive, masked, torch.tensor(4.0))
    assert float(found) == pytest.approx(np.mean(expected), rel=1e-5)


def test_the_queue_forgets_the_oldest_batch() -> None:
    queue = NegativeQueue(2, items=3, levels=1, width=2)
    assert len(queue.content()[0]) == 0
    for batch in range(3):
        queue.push(torch.arange(3) + 10 * batch, torch.full((3, 1, 2), float(batch)))
    ids, vectors = queue.content()
    assert sorted(ids.tolist()) == [10, 11, 12, 20, 21, 22]
    assert sorted(vectors[:, 0, 0].tolist()) == [1, 1, 1, 2, 2, 2]
    again = NegativeQueue(2, items=3, levels=1, width=2)
    again.load_state_dict(queue.state_dict())
    again.push(torch.arange(3) + 30, torch.zeros(3, 1, 2))
    assert 10 not in again.content()[0].tolist()


@settings(max_examples=60, deadline=None)
@given(
    categories=st.lists(st.sampled_from(["", "a", "b", "c"]), min_size=2, max_size=30),
    chance=st.floats(0, 1, exclude_max=True),
    seed=st.integers(0, 20),
)
def test_a_hard_negative_is_another_usable_item_of_the_category(
    categories: list[str], chance: float, seed: int
) -> None:
    usable = np.random.default_rng(seed).random(len(categories)) < 0.8
    usable[:2] = True
    items = np.flatnonzero(usable)
    others = SameCategory(categories, usable).draw(items, np.full(len(items), chance))
    for item, other in zip(items.tolist(), others.tolist(), strict=True):
        assert other != item
        assert usable[other]
        same = [n for n in items.tolist() if n != item and categories[n] == categories[item]]
        if same and categories[item]:
            assert other in same


def test_every_item_of_the_category_is_drawn_equally_often() -> None:
    hard = SameCategory(["a", "b", "a", "a", "b", "a"], np.ones(6, bool))
    drawn = hard.draw(np.full(3000, 2), np.random.default_rng(0).random(3000))
    counts = np.bincount(drawn, minlength=6)
    assert counts[[1, 2, 4]].tolist() == [0, 0, 0]
    assert counts[[0, 3, 5]].min() > 900


def test_an_item_that_occurs_often_is_encoded_once(log: Path) -> None:
    module = module_of(log, distinct=True)
    seen: list[int] = []
    module.network.vision.trunk.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    module.network.language.model.register_forward_pre_hook(
        lambda _, args, kwargs: seen.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    rows = Triplets(torch.tensor([3, 3, 4]), torch.tensor([4, 5, 5]), torch.tensor([5, 4, 4]))
    shown = np.ones((USABLE + 5, 2), bool)
    encoded: Encoded = encode(module.network, module._catalogue, module._pairs.searched, rows, shown)
    assert seen == [3, 2]
    torch.testing.assert_close(encoded.query[2], encoded.images[0, 0])
    torch.testing.assert_close(encoded.fused[0, 1], encoded.fused[1, 0])
