"""Figures over many faces: calibration error, confidence intervals, gaps between groups."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rapport_edge.faces import FloatArray

IntArray: TypeAlias = NDArray[np.int64]
Values: TypeAlias = NDArray[np.float64]

#: Two-sided 95 %.
_Z = 1.959964


def expected_calibration_error(probabilities: FloatArray, truth: IntArray, bins: int = 15) -> float:
    """Top-label ECE (Guo et al. 2017): mean over faces of |accuracy - confidence| of a face's confidence bin.

    Args:
        probabilities: (n, k), rows sum to 1, n at least 1.
        truth: (n,), index of the true label.
        bins: number of bins of equal width over 0 to 1.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    correct = (probabilities.argmax(axis=1) == truth).astype(np.float64)
    index = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    difference = np.bincount(index, weights=correct - confidence, minlength=bins)
    return float(np.abs(difference).sum() / len(truth))


def wilson_interval(successes: int, n: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927); 0 to 1 for n = 0."""
    if n == 0:
        return 0.0, 1.0
    share = successes / n
    centre = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def mean_interval(values: Values) -> tuple[float, float]:
    """95 % interval of a mean by the normal approximation; the mean itself for fewer than two values."""
    mean = float(values.mean())
    half = _Z * standard_error(values)
    return mean - half, mean + half


def difference_interval(a: Values, b: Values) -> tuple[float, float]:
    """95 % interval of mean(a) - mean(b) for independent samples, by the normal approximation."""
    difference = float(a.mean() - b.mean())
    half = _Z * math.hypot(standard_error(a), standard_error(b))
    return difference - half, difference + half


def standard_error(values: Values) -> float:
    """Standard error of the mean; 0 for fewer than two values."""
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else 0.0
