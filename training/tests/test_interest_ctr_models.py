"""What holds for every user-behaviour model, alone and with MIM's modules."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from click_batches import DIMENSION, ITEMS, USERS, VARIANTS, batch_of, model_of, padded_inputs, recipe_of
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport_edge.errors import SettingsError
from rapport_training.interest.batch import Batch, ContentRows
from rapport_training.interest.ctr.ctr_model import CtrModel
from rapport_training.interest.ctr.recipe import CtrRecipe, Mim

LENGTHS = st.lists(st.integers(0, 9), min_size=1, max_size=6)
every_model = pytest.mark.parametrize("variant", VARIANTS)


def scores(model: CtrModel, batch: Batch) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(batch)


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=2e-6)


def models(variant: str) -> list[CtrModel]:
    return [model_of(recipe_of(variant, mim=mim)) for mim in (False, True)]


@every_model
@settings(deadline=None, max_examples=12)
@given(lengths=LENGTHS, seed=st.integers(0, 99), extra=st.integers(1, 4))
def test_contents_and_amount_of_padding_change_nothing(variant: str, lengths: list[int], seed: int, extra: int) -> None:
    for model in models(variant):
        batch = batch_of(lengths, content=model.content_dim is not None, seed=seed)
        longer = batch_of(lengths, content=model.content_dim is not None, seed=seed, extra=extra)
        padding = torch.arange(longer.history.shape[1]) >= longer.length[:, None]
        rubbish = torch.randint(0, ITEMS, longer.history.shape)
        content = longer.content and ContentRows(
            longer.content.vectors, longer.content.item, torch.where(padding, rubbish, longer.content.history)
        )
        filled = replace(
            longer,
            history=torch.where(padding, rubbish, longer.history),
            age=torch.where(padding, torch.nan, longer.age),
            content=content,
        )
        close(scores(model, longer), scores(model, batch))
        close(scores(model, filled), scores(model, batch))


@every_model
@settings(deadline=None, max_examples=12)
@given(lengths=LENGTHS, seed=st.integers(0, 99))
def test_padded_positions_score_as_packed_ones(variant: str, lengths: list[int], seed: int) -> None:
    for model in models(variant):
        batch = batch_of(lengths, content=model.content_dim is not None, seed=seed, extra=2)
        with torch.no_grad():
            close(model.eval().score_values(*padded_inputs(model, batch)), scores(model, batch))


@every_model
@pytest.mark.parametrize("mim", [False, True])
def test_rubbish_in_the_padding_of_an_exported_graph_changes_nothing(variant: str, mim: bool) -> None:
    model = model_of(recipe_of(variant, mim=mim)).eval()
    batch = batch_of([3, 0, 6, 1], content=mim, extra=2)
    inputs = padded_inputs(model, batch)
    padding = ~inputs[3]
    rubbish = list(inputs)
    rubbish[2] = torch.where(padding[..., None], 3, inputs[2])
    rubbish[4] = torch.where(padding, 1e6, inputs[4])
    if mim:
        rubbish[6] = torch.where(padding[..., None], torch.nan, inputs[6])
    with torch.no_grad():
        close(model.score_values(*rubbish), model.score_values(*inputs))


@every_model
@pytest.mark.parametrize("mim", [False, True])
def test_one_history_serves_many_targets(variant: str, mim: bool) -> None:
    model = model_of(recipe_of(variant, mim=mim)).eval()
    batch = batch_of([5] * 4, content=mim)
    same = torch.zeros(4, dtype=torch.int64)
    repeated = replace(
        batch,
        user=batch.user[same],
        history=batch.history[same],
        age=batch.age[same],
        content=batch.content and replace(batch.content, history=batch.content.history[same]),
    )
    with torch.no_grad():
        close(model.score_values(*padded_inputs(model, batch, slice(0, 1))), scores(model, repeated))


@every_model
@settings(deadline=None, max_examples=8)
@given(order=st.permutations(range(5)))
def test_the_order_of_the_batch_does_not_matter(variant: str, order: list[int]) -> None:
    rows = torch.tensor(order)
    for model in models(variant):
        batch = batch_of([4, 0, 7, 1, 2], content=model.content_dim is not None)
        parts = {name: value[rows] for name, value in vars(batch).items() if isinstance(value, torch.Tensor)}
        content = batch.content
        if content is not None:
            content = ContentRows(content.vectors, content.item[rows], content.history[rows])
        close(scores(model, Batch(**parts, content=content)), scores(model, batch)[rows])


@every_model
@pytest.mark.parametrize("mim", [False, True])
@pytest.mark.parametrize("lengths", [[0, 0, 0], [0, 3, 0, 1]])
def test_empty_histories_give_finite_scores_and_gradients(variant: str, mim: bool, lengths: list[int]) -> None:
    model = model_of(recipe_of(variant, mim=mim)).train()
    logits, auxiliary = model.logits_and_auxiliary(batch_of(lengths, content=mim))
    total = logits.sum() + (0 if auxiliary is None else auxiliary.logits.sum())
    total.backward()
    assert torch.isfinite(logits).all()
    for name, parameter in model.named_parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all(), name


@every_model
def test_every_weight_learns(variant: str) -> None:
    model = model_of(recipe_of(variant, mim=True)).train()
    logits, auxiliary = model.logits_and_auxiliary(batch_of([5, 0, 9, 2, 7], content=True))
    (logits.square().sum() + (0 if auxiliary is None else auxiliary.logits.square().sum())).backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    # In front of batch normalisation a bias changes nothing.
    assert [name for name in without if not name.startswith("deep.layers.0.bias")] == []


@every_model
@pytest.mark.parametrize("mim", [False, True])
def test_mixed_precision_learns_what_float32_does(variant: str, mim: bool) -> None:
    gradients = []
    for mixed in (False, True):
        model = model_of(recipe_of(variant, mim=mim)).train()
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):  # Lightning's step also goes backward in it
            model(batch_of([3, 0, 6, 1, 5] * 4, content=mim)).float().square().sum().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    assert torch.nn.functional.cosine_similarity(*gradients, dim=0) > 0.95


@pytest.mark.parametrize("off", ["id", "content", "fusion"])
def test_modules_switch_off_one_by_one(off: str) -> None:
    whole, without = (model_of(recipe_of("din", mim=mim)) for mim in (True, Mim(**{off: False})))
    sizes = {"id": 12, "content": DIMENSION, "fusion": 12}
    assert whole.deep.layers[0].in_features - without.deep.layers[0].in_features == sizes[off]
    assert (without.interest is None) == (off == "id")
    assert torch.isfinite(scores(without, batch_of([3, 1], content=True))).all()


def test_a_robot_may_meet_users_that_were_never_trained() -> None:
    model = model_of(recipe_of("din", use_user_id=False))
    batch = batch_of([3, 4], content=False)
    before = scores(model, batch)
    with torch.no_grad():
        model.user_values[:, 0] = torch.arange(USERS).flip(0)
    close(scores(model, batch), before)


def test_a_share_of_targets_is_unknown_in_training_only() -> None:
    model = model_of(recipe_of("average", unknown_share=0.999, use_user_id=False, batch_norm=False)).train()
    batch = batch_of([2] * 6, content=False)
    other = replace(batch, item=torch.full_like(batch.item, int(batch.item[0])))
    with torch.no_grad():
        model.item_values[:, 1:] = 2
    torch.manual_seed(0)
    close(model(batch), model(other))
    assert (scores(model, batch) - scores(model, other)).abs().max() > 1e-4


def test_missing_content_times_and_categories_are_refused() -> None:
    recipe = recipe_of("din", mim=True)
    with pytest.raises(SettingsError, match="need content"):
        CtrModel(recipe, *_fields(), None)
    with pytest.raises(SettingsError, match="content"):
        model_of(recipe)(batch_of([2, 2], content=False))
    with pytest.raises(SettingsError, match="no times"):
        model_of(recipe_of("bst-layers"))(replace(batch_of([2, 2], content=False), age=None))
    with pytest.raises(SettingsError, match="evenly"):
        model_of(recipe_of("twin", heads=5))
    hard = CtrModel(recipe_of("sim-hard"), *_fields(), None)
    with pytest.raises(SettingsError, match="category"):
        hard(batch_of([2, 2], content=False))


def _fields() -> tuple:
    model = model_of(CtrRecipe(name="any", model="average"))
    return model.item_fields[:1], model.item_values[:, :1].numpy(), model.user_fields, model.user_values.numpy()
