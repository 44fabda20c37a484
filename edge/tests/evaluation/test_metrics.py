"""Figures against numbers worked out by hand or published."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapport_edge.evaluation.metrics import difference_interval, expected_calibration_error, wilson_interval


def test_ece_by_hand() -> None:
    """Two bins: three faces at 0.9 of which two are right, two at 0.6 of which none is."""
    p = np.array([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]], dtype=np.float32)
    truth = np.array([0, 0, 1, 1, 1])
    expected = 3 / 5 * abs(2 / 3 - 0.9) + 2 / 5 * abs(0 - 0.6)
    assert expected_calibration_error(p, truth) == pytest.approx(expected, abs=1e-6)


def test_ece_of_certain_answers() -> None:
    eye = np.eye(2, dtype=np.float32)
    assert expected_calibration_error(eye, np.array([0, 1])) == 0.0
    assert expected_calibration_error(eye, np.array([1, 0])) == 1.0


def test_ece_vanishes_where_answers_are_drawn_from_their_probabilities() -> None:
    rng = np.random.default_rng(0)
    p = rng.dirichlet([1.0, 1.0, 1.0], size=40_000).astype(np.float32)
    truth = (rng.random(40_000)[:, None] > p.cumsum(axis=1)[:, :2]).sum(axis=1)
    assert expected_calibration_error(p, truth) < 0.02


def test_wilson_interval_as_published() -> None:
    """Newcombe 1998, Table I: 81 of 263 gives 0.2553 to 0.3662; 0 of 20 gives 0 to 0.1611."""
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)


@given(st.integers(0, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_interval_holds_the_share(counts: tuple[int, int]) -> None:
    low, high = wilson_interval(*counts)
    share = counts[0] / counts[1] if counts[1] else 0.5
    assert 0.0 <= low <= share + 1e-12
    assert share - 1e-12 <= high <= 1.0


def test_difference_interval_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(400):
        low, high = difference_interval(rng.normal(2.0, 1.0, 60), rng.normal(1.5, 2.0, 80))
        covered += low <= 0.5 <= high
    assert 0.92 <= covered / 400 <= 0.98
