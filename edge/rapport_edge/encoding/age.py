"""Age as a distribution over bins: mean, spread, interval, and when it is too uncertain to be used.

Ages are completed years, as people and data sets state them: the bin "3-9" holds 3, 4, ... 9 and its middle is 6.
Inside a bin all ages are taken as equally likely, each year as one unit of width around its number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from rapport_edge.bundle.manifest import OrdinalHead
from rapport_edge.faces import AgeEstimate, AttributeEstimate, FloatArray
from rapport_edge.labels import bin_middles

#: The interval published with an age is the central 80 %.
INTERVAL = (0.1, 0.9)


def age_estimate(head: OrdinalHead, probabilities: FloatArray) -> AgeEstimate:
    """Mean, standard deviation and 80 % interval of a distribution over age bins.

    The interval is the distribution's central part, so a small share far away can move the mean out of it.

    Args:
        head: labels and bin edges; "unknown" when the standard deviation is above `unknown_above_std`.
        probabilities: (k,), sums to 1.
    """
    mean, std = moments(head.bin_edges, probabilities)
    low, high = (quantile(head.bin_edges, probabilities, share) for share in INTERVAL)
    best = int(np.argmax(probabilities))
    label = head.labels[best] if std <= head.unknown_above_std else None
    distribution = AttributeEstimate(
        head.name, head.labels, np.asarray(probabilities, dtype=np.float32), label, float(probabilities[best])
    )
    return AgeEstimate(distribution, mean, std, low, high)


def moments(edges: Sequence[float], probabilities: FloatArray) -> tuple[float, float]:
    """Mean and standard deviation in years, the variance inside the bins included."""
    p = np.asarray(probabilities, dtype=np.float64)
    middles = bin_middles(edges).astype(np.float64)
    within = np.diff(np.asarray(edges, dtype=np.float64)) ** 2 / 12.0  # of a uniform distribution
    mean = float(p @ middles)
    return mean, math.sqrt(max(0.0, float(p @ (within + (middles - mean) ** 2))))


def quantile(edges: Sequence[float], probabilities: FloatArray, share: float) -> float:
    """The age below which `share` of the probability lies, linear inside bins, never below the lowest edge.

    Args:
        edges: k + 1 ascending edges in completed years.
        probabilities: (k,), sums to 1.
        share: 0 to 1.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    cumulative = np.concatenate([[0.0], np.cumsum(p / p.sum())])
    index = int(np.clip(np.searchsorted(cumulative, share, side="left") - 1, 0, len(p) - 1))
    inside = (share - cumulative[index]) / max(cumulative[index + 1] - cumulative[index], 1e-12)
    age = edges[index] + float(np.clip(inside, 0.0, 1.0)) * (edges[index + 1] - edges[index])
    return max(float(edges[0]), age - 0.5)  # edges are where a bin begins, half a year below its first number
