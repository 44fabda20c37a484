"""From a run folder to an item's vector: deterministic, and defined for items that lack something."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from content_log import items_table, recipe_of, write_content_log

from rapport_edge.errors import SettingsError
from rapport_training.interest.content.item_encoder import load_item_encoder
from rapport_training.interest.content.pretraining.fit import fit_pretraining
from rapport_training.interest.data.log import BehaviourLog
from rapport_training.interest.embed import contents_of

PLAIN = {"dda_epochs": 0, "dma_epochs": 0}


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> BehaviourLog:
    return write_content_log(tmp_path_factory.mktemp("logs") / "styles")


@pytest.fixture(scope="module")
def plain(log: BehaviourLog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "plain"
    fit_pretraining(recipe_of(pretraining=PLAIN), log, run)
    return run


def test_the_towers_before_any_training_give_both_features_side_by_side(plain: Path, log: BehaviourLog) -> None:
    encoder = load_item_encoder(plain)
    vectors = encoder.embed(*contents_of(log.items()))
    assert encoder.vector == "features"
    assert encoder.dimension == 64 + 32
    assert vectors.shape == (48, 96)
    assert vectors.dtype == np.float32


def test_what_an_item_lacks_is_zero_and_counted(plain: Path) -> None:
    items = items_table(48)
    encoder = load_item_encoder(plain)
    vectors = encoder.embed(*contents_of(items))
    image, text = vectors[:, :64], vectors[:, 64:]
    assert np.flatnonzero(~image.any(axis=1)).tolist() == [43, 45, 46, 47]
    assert np.flatnonzero(~text.any(axis=1)).tolist() == [43, 44]
    assert (encoder.broken, encoder.without_image, encoder.without_title) == (2, 4, 2)
    lengths = np.linalg.norm(vectors, axis=1)
    np.testing.assert_allclose(lengths, np.where(np.arange(48) == 43, 0, 1), atol=1e-5)


def test_vectors_depend_neither_on_the_batch_nor_on_the_order(plain: Path) -> None:
    items = items_table(30)
    encoder = load_item_encoder(plain)
    whole = encoder.embed(*contents_of(items))
    np.testing.assert_allclose(encoder.embed(*contents_of(items), batch_size=7), whole, atol=2e-6)
    np.testing.assert_array_equal(encoder.embed(*contents_of(items)), whole)
    order = np.random.default_rng(0).permutation(30)
    np.testing.assert_allclose(encoder.embed(*contents_of(items.take(order))), whole[order], atol=2e-6)


def test_the_digest_is_of_the_weights(plain: Path, log: BehaviourLog, tmp_path: Path) -> None:
    again, other = tmp_path / "again", tmp_path / "other"
    fit_pretraining(recipe_of(pretraining=PLAIN), log, again)
    fit_pretraining(recipe_of(pretraining=PLAIN), log, other, seed=4)
    digest = load_item_encoder(plain).digest
    assert load_item_encoder(plain).digest == digest == load_item_encoder(again).digest
    assert load_item_encoder(other).digest != digest


def test_no_items_have_no_vectors(plain: Path) -> None:
    encoder = load_item_encoder(plain)
    assert encoder.embed([], []).shape == (0, encoder.dimension)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="not a run folder"):
        load_item_encoder(tmp_path)


def test_a_damaged_checkpoint_is_refused(log: BehaviourLog, tmp_path: Path) -> None:
    checkpoint = fit_pretraining(recipe_of(pretraining=PLAIN), log, tmp_path / "run")
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(SettingsError, match="does not hold these towers"):
        load_item_encoder(tmp_path / "run")
