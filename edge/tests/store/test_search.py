"""The index gives what a full scan of the stored vectors gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from people import unit

from rapport_edge.errors import StoreError
from rapport_edge.store.search import EmbeddingIndex


def vectors_of(seed: int, n: int, dim: int, common: float) -> np.ndarray:
    """Unit vectors with a common part, as float16 stores them."""
    rng = np.random.default_rng(seed)
    spectrum = np.linspace(1.0, 0.05, dim)
    raw = rng.standard_normal((n, dim)) * spectrum + common * rng.standard_normal(dim)
    return (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float16).astype(np.float32)


def filled(vectors: np.ndarray) -> EmbeddingIndex:
    index = EmbeddingIndex(vectors.shape[1], "digest")
    for row, vector in enumerate(vectors):
        index.add(f"u{row:06d}", vector)
    return index


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 400),
    dim=st.sampled_from([3, 32, 128, 512]),
    common=st.sampled_from([0.0, 1.0, 4.0]),
    k=st.integers(1, 20),
)
def test_it_finds_what_a_full_scan_finds(seed, n, dim, common, k):
    vectors = vectors_of(seed, n, dim, common)
    query = unit(seed % 1000, dim)
    index = filled(vectors)
    stored = index._vectors[:n].astype(np.float32)  # normalising may move the last bit of a float16
    best = np.sort(stored @ query)[::-1][:k]
    found = index.search(query, k)
    np.testing.assert_allclose([match.similarity for match in found], best, atol=2e-6)
    assert len({match.user_id for match in found}) == min(k, n)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["add", "remove"]), st.integers(0, 90), st.integers(0, 999)), max_size=300))
def test_adding_and_removing_take_effect_at_once(steps):
    index, model = EmbeddingIndex(16, "digest"), {}
    for action, user, seed in steps:
        user_id = f"u{user}"
        if action == "add":
            index.add(user_id, unit(seed, 16))
            model[user_id] = unit(seed, 16)
        else:
            assert index.remove(user_id) is (model.pop(user_id, None) is not None)
    assert len(index) == len(model)
    assert {match.user_id for match in index.search(unit(1, 16), 1000)} == set(model)
    for user_id, vector in model.items():
        similarity = {match.user_id: match.similarity for match in index.search(vector, len(model))}[user_id]
        assert similarity == pytest.approx(1.0, abs=2e-3)


def test_what_is_removed_is_overwritten():
    index = filled(vectors_of(0, 70, 32, 1.0))
    for row in range(70):
        index.remove(f"u{row:06d}")
    assert not index._vectors.any()
    assert not index._codes.any()
    assert index.search(unit(0, 32), 5) == []


def test_many_at_once_equal_one_by_one():
    vectors = vectors_of(1, 500, 64, 2.0)
    bulk = EmbeddingIndex(64, "digest")
    bulk.extend([f"u{row:06d}" for row in range(300)], vectors[:300])
    bulk.extend([f"u{row:06d}" for row in range(300, 500)], vectors[300:])
    for seed in range(10):
        expected = filled(vectors).search(unit(seed), 7)
        assert [match.user_id for match in bulk.search(unit(seed), 7)] == [match.user_id for match in expected]


def test_equal_vectors_are_ordered_by_id():
    index = filled(np.repeat(unit(3)[None], 200, axis=0))
    assert [match.user_id for match in index.search(unit(3), 3)] == ["u000000", "u000001", "u000002"]


@pytest.mark.parametrize("bad", [np.zeros(64), np.full(64, np.nan), np.full(64, np.inf), np.ones((2, 64))])
def test_what_has_no_direction_is_refused(bad):
    index = filled(vectors_of(0, 5, 64, 0.0))
    with pytest.raises(StoreError, match="finite vector"):
        index.search(bad.astype(np.float32), 1)


def test_another_size_is_refused():
    index = filled(vectors_of(0, 5, 64, 0.0))
    with pytest.raises(StoreError, match="64 values, this one has 32"):
        index.add("x", unit(0, 32))
    with pytest.raises(StoreError, match="64 values"):
        index.extend(["x"], unit(0, 32)[None])
