"""Ages out of distributions over bins."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_bundle import age_head

from rapport_edge.encoding.age import age_estimate, moments, quantile
from rapport_edge.faces import FloatArray
from rapport_edge.labels import AGE_BINS, AGE_EDGES, bin_middles

distributions = st.lists(st.floats(0.0, 1.0, width=32), min_size=9, max_size=9).filter(lambda p: sum(p) > 1e-3)


def _normalised(weights: list[float]) -> FloatArray:
    p = np.array(weights, dtype=np.float64)
    return (p / p.sum()).astype(np.float32)


def _certain(label: str) -> FloatArray:
    return np.eye(9, dtype=np.float32)[AGE_BINS.index(label)]


def test_middles_are_those_of_completed_years() -> None:
    assert bin_middles(AGE_EDGES).tolist() == [1.0, 6.0, 14.5, 24.5, 34.5, 44.5, 54.5, 64.5, 74.5]


def test_a_certain_bin_has_its_own_width() -> None:
    estimate = age_estimate(age_head(), _certain("20-29"))
    assert estimate.mean == pytest.approx(24.5)
    assert estimate.std == pytest.approx(10 / np.sqrt(12))
    assert (estimate.low, estimate.high) == pytest.approx((20.5, 28.5))
    assert estimate.known
    assert estimate.distribution.label == "20-29"


def test_no_age_is_negative() -> None:
    assert age_estimate(age_head(), _certain("0-2")).low == 0.0


def test_quantiles_agree_with_counted_samples() -> None:
    """Ages drawn year by year from the bins, counted; an independent way to the same numbers."""
    p = _normalised([1, 2, 3, 6, 5, 3, 2, 1, 1])
    rng = np.random.default_rng(0)
    bins = rng.choice(9, size=200_000, p=p.astype(np.float64) / p.astype(np.float64).sum())
    low, high = np.array(AGE_EDGES)[bins], np.array(AGE_EDGES)[bins + 1]
    ages = rng.uniform(low - 0.5, high - 0.5)
    mean, std = moments(AGE_EDGES, p)
    assert mean == pytest.approx(ages.mean(), abs=0.15)
    assert std == pytest.approx(ages.std(), abs=0.15)
    for share in (0.1, 0.5, 0.9):
        assert quantile(AGE_EDGES, p, share) == pytest.approx(np.quantile(ages, share), abs=0.3)


def test_too_wide_a_distribution_is_unknown() -> None:
    spread = _normalised([1] * 9)
    assert not age_estimate(age_head(), spread).known
    patient = msgspec.structs.replace(age_head(), unknown_above_std=50.0)
    assert age_estimate(patient, spread).known


@given(distributions)
def test_mean_and_interval_are_ordered_and_within_the_edges(weights: list[float]) -> None:
    estimate = age_estimate(age_head(), _normalised(weights))
    assert 0.0 <= estimate.low <= estimate.high <= 79.5
    assert 1.0 - 1e-3 <= estimate.mean <= 74.5 + 1e-3
    assert estimate.std >= 3 / np.sqrt(12) - 1e-3


@given(distributions, st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_quantiles_ascend(weights: list[float], a: float, b: float) -> None:
    p = _normalised(weights)
    assert quantile(AGE_EDGES, p, min(a, b)) <= quantile(AGE_EDGES, p, max(a, b)) + 1e-9
