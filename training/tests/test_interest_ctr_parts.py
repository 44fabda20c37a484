"""Parts with a backward pass by hand, against autograd; equations, against their letters."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from click_batches import batch_of, model_of, recipe_of
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from rapport_training.interest.batch import ContentRows
from rapport_training.interest.ctr.behaviour_time import time_buckets
from rapport_training.interest.ctr.content_interest import content_interest
from rapport_training.interest.ctr.dropout import Dropout
from rapport_training.interest.ctr.models.bst import Block, BstSettings
from rapport_training.interest.ctr.models.gru import AttentionalGru
from rapport_training.interest.ctr.models.interest import Behaviours
from rapport_training.interest.ctr.models.twin import Twin, TwinSettings
from rapport_training.interest.ctr.normalisation import Dice
from rapport_training.interest.ctr.positions import Packed, Padded
from rapport_training.interest.ctr.segments import Pick, Rows, Spread, WeightedSum
from rapport_training.interest.ctr.token_sequence import token_sequence

LENGTHS = st.lists(st.integers(0, 6), min_size=1, max_size=6)


def packed(lengths: list[int]) -> Packed:
    return Packed(torch.tensor(lengths), max(1, *lengths))


@settings(deadline=None, max_examples=25)
@given(lengths=LENGTHS, attention=st.booleans())
def test_gru_by_hand_is_the_gru_step_by_step(lengths: list[int], attention: bool) -> None:
    torch.manual_seed(1)
    at, gru = packed(lengths), AttentionalGru(4).double()
    values = torch.randn(len(at.rows), 4, dtype=torch.double, requires_grad=True)
    weights = torch.rand(len(at.rows), dtype=torch.double, requires_grad=True) if attention else None
    whole = Padded(torch.arange(at.width) < at.lengths[:, None])
    found = gru(values, weights, at)
    states, last = gru(at.pad(values), None if weights is None else at.pad(weights), whole)
    expected = at.unpad(states), last
    inputs = [values, *gru.parameters(), *([weights] if attention else [])]
    seeds = [torch.randn_like(part) for part in expected]
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        torch.autograd.grad(found, inputs, seeds), torch.autograd.grad(expected, inputs, seeds, allow_unused=True)
    )


def test_gru_without_attention_is_torchs() -> None:
    torch.manual_seed(2)
    ours, theirs = AttentionalGru(3), torch.nn.GRU(3, 3, batch_first=True)
    order = [1, 0, 2]  # torch's gates are reset, update, new; its update gate keeps what ours replaces
    for own, other in ((ours.inputs, "ih"), (ours.hidden, "hh")):
        for kind in ("weight", "bias"):
            parts = list(getattr(theirs, f"{kind}_{other}_l0").detach().chunk(3))
            parts[1] = -parts[1]
            getattr(own, kind).data = torch.cat([parts[place] for place in order])
    values = torch.randn(2, 5, 3)
    states, last = ours(values.flatten(0, 1), None, packed([5, 5]))
    expected, end = theirs(values)
    torch.testing.assert_close(states.unflatten(0, (2, 5)), expected)
    torch.testing.assert_close(last, end[0])


def test_dice_by_hand_is_equation_5() -> None:
    torch.manual_seed(3)
    dice = Dice(5).double()
    dice.alpha.data.normal_()
    values = torch.randn(30, 5, dtype=torch.double, requires_grad=True)
    share = torch.sigmoid(F.batch_norm(values, None, None, training=True, eps=dice.norm.eps))
    expected = share * values + (1 - share) * dice.alpha * values
    found, inputs, seed = dice(values), [values, dice.alpha], torch.randn(30, 5, dtype=torch.double)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.autograd.grad(found, inputs, seed), torch.autograd.grad(expected, inputs, seed))
    torch.testing.assert_close(dice.norm.running_mean, 0.01 * values.mean(dim=0))


@settings(deadline=None, max_examples=25)
@given(lengths=LENGTHS)
def test_sums_over_behaviours_have_the_right_gradients(lengths: list[int]) -> None:
    at = packed(lengths)
    values = torch.randn(len(at.rows), 3, dtype=torch.double, requires_grad=True)
    weights = torch.randn(len(at.rows), dtype=torch.double, requires_grad=True)
    rows = torch.randn(len(lengths), 3, dtype=torch.double, requires_grad=True)
    check = torch.autograd.gradcheck
    assert check(lambda w, v: WeightedSum.apply(w, v, at.rows, at.starts), (weights, values))
    assert check(lambda r: Spread.apply(r, at.rows, at.starts), (rows,))
    assert check(lambda r: Rows.apply(r, at.rows), (rows,))
    assert check(lambda v: Pick.apply(v, torch.arange(len(v)).flip(0)[::2]), (values,))
    torch.testing.assert_close(at.weighted(weights, values), at.pad(weights[:, None] * values).sum(dim=1))


@settings(deadline=None, max_examples=25)
@given(lengths=LENGTHS, count=st.integers(1, 7), seed=st.integers(0, 99))
def test_top_keeps_each_rows_largest_in_order(lengths: list[int], count: int, seed: int) -> None:
    at = packed(lengths)
    scores = torch.randn(len(at.rows), generator=torch.Generator().manual_seed(seed))
    chosen_at, chosen = at.top(scores, count)
    assert chosen_at.lengths.tolist() == [min(length, count) for length in lengths]
    for row, length in enumerate(lengths):
        mine = chosen[chosen_at.rows == row]
        best = scores[at.rows == row].sort(descending=True).values[: min(length, count)]
        assert mine.tolist() == sorted(mine.tolist())
        assert sorted(scores[mine].tolist(), reverse=True) == best.tolist()
    newest_at, newest = at.newest(count)
    assert (at.recency[newest] < count).all()
    assert newest_at.lengths.tolist() == chosen_at.lengths.tolist()


@pytest.mark.parametrize("distinct", [3, 60])
def test_content_interest_is_equation_7(distinct: int) -> None:
    rng = torch.Generator().manual_seed(4)
    lengths, width = torch.tensor([3, 0, 5, 1]), 5
    vectors = torch.randn(distinct, 6, generator=rng)
    vectors[0] = 0
    item = torch.randint(0, distinct, (4,), generator=rng)
    history = torch.randint(0, distinct, (4, width), generator=rng)
    at = Packed(lengths, width)
    found = content_interest(ContentRows(vectors, item, history), at.unpad(history), at)
    for row, length in enumerate(lengths.tolist()):
        behaviours = vectors[history[row, :length]]
        alpha = F.cosine_similarity(vectors[item[row]][None], behaviours, dim=-1)
        torch.testing.assert_close(found.alpha[at.rows == row], alpha)
        torch.testing.assert_close(found.interest[row], (alpha[:, None] * behaviours).sum(dim=0))


@settings(deadline=None, max_examples=25)
@given(lengths=LENGTHS, padding=st.booleans())
def test_a_block_for_the_target_alone_gives_what_the_whole_block_gives_it(lengths: list[int], padding: bool) -> None:
    torch.manual_seed(7)
    block = Block(6, BstSettings("order", 2, heads=2, layers=1, dropout=0.0, attention_dropout=0.0, pooling="target"))
    at = packed(lengths)
    history, target = torch.randn(len(at.rows), 6), torch.randn(len(lengths), 6)
    if padding:
        history, at = at.pad(history), Padded(torch.arange(at.width) < at.lengths[:, None])
    sequence = token_sequence(at)
    _, expected = sequence.split(block(sequence.join(history, target), sequence))
    torch.testing.assert_close(block.of_target(history, target, at), expected)


def test_twins_two_stages_agree() -> None:
    """What the general search keeps of a long history are the behaviours that attention to all weighs most."""
    torch.manual_seed(5)
    twin = Twin(8, TwinSettings(top_k=4, heads=1, position="order")).eval()
    at = packed([20])
    history = torch.randn(20, 8)
    behaviours = Behaviours(torch.randn(1, 8), history, at, None)
    seen = []
    original = at.top
    at.top = lambda scores, count: seen.append(scores) or original(scores, count)  # type: ignore[method-assign]
    twin(behaviours)
    key, query = twin.key(history), twin.query(behaviours.target)
    times = twin.times(time_buckets(behaviours, "order"))
    alpha = (key @ query[0]) * 8**-0.5 + (twin.project(times) * twin.beta)[:, 0]
    torch.testing.assert_close(seen[0], alpha)


def test_a_thousand_behaviours_and_more() -> None:
    for variant in ("sim-soft", "sim-hard", "twin"):
        model = model_of(recipe_of(variant, mim=True, top_k=50)).train()
        logits, _ = model.logits_and_auxiliary(batch_of([1500, 0, 1200], content=True))
        logits.sum().backward()
        assert torch.isfinite(logits).all()


def test_recency_does_not_change_with_what_was_cut_off() -> None:
    behaviours = [Behaviours(torch.zeros(1, 2), torch.zeros(n, 2), packed([n]), None) for n in (100, 40)]
    long, short = (time_buckets(part, "order") for part in behaviours)
    assert long[-40:].tolist() == short.tolist()
    assert long[-3:].tolist() == [3, 2, 1]
    assert (long.diff() <= 0).all()


def test_dropout_drops_its_share_and_keeps_the_mean() -> None:
    torch.manual_seed(6)
    values = torch.ones(1000, 101, requires_grad=True)
    kept = Dropout(0.1)(values)
    assert abs(float((kept == 0).float().mean()) - 0.1) < 0.005
    np.testing.assert_allclose(float(kept.detach().mean()), 1.0, atol=0.005)
    kept.sum().backward()
    torch.testing.assert_close(values.grad, kept.detach())
