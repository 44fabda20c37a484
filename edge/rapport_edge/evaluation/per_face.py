"""What a bundle's answers are worth on each face: right or wrong, years of error, known or not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rapport_edge.bundle.manifest import CategoricalHead, Head, OrdinalHead
from rapport_edge.encoding.age import age_estimate
from rapport_edge.encoding.estimates import attribute_estimate
from rapport_edge.errors import BundleError
from rapport_edge.evaluation.metrics import IntArray, Values, expected_calibration_error
from rapport_edge.faces import FloatArray
from rapport_edge.labels import AGE_BINS, AGE_EDGES, LabelError, bin_middles, parse_age, parse_gender, parse_race


@dataclass(frozen=True, slots=True)
class Truth:
    """The labels of n faces, as names from `rapport_edge.labels`."""

    ages: Sequence[str]
    genders: Sequence[str]
    races: Sequence[str] | None


@dataclass(slots=True)
class PerFace:
    """Results of all heads.

    Attributes:
        values: (n,) by figure: gender_accuracy, age_bin_accuracy and race_accuracy are 0 or 1, age_mae is years.
        unknown: (n,) bool by head.
        calibration: ECE by head.
        covered: (n,) bool, the middle of the true age bin lies in the 80 % interval; None without an age head.
    """

    values: dict[str, Values] = field(default_factory=dict)
    unknown: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    calibration: dict[str, float] = field(default_factory=dict)
    covered: NDArray[np.bool_] | None = None


def judge(heads: Sequence[Head], probabilities: Mapping[str, FloatArray], truth: Truth) -> PerFace:
    """Compares the heads "gender", "age" and "race", those that there are, with the truth.

    Args:
        heads: of the bundle.
        probabilities: (n, k) by the head's name.
        truth: labels of the n faces.

    Raises:
        BundleError: if a head's labels are not those of the data set, or no head can be compared.
    """
    result = PerFace()
    for head in heads:
        if head.name == "age" and isinstance(head, OrdinalHead):
            _judge_age(head, probabilities["age"], truth.ages, result)
        elif head.name == "gender" and isinstance(head, CategoricalHead):
            _judge_category(head, probabilities["gender"], truth.genders, parse_gender, result)
        elif head.name == "race" and isinstance(head, CategoricalHead) and truth.races is not None:
            _judge_category(head, probabilities["race"], truth.races, parse_race, result)
    if not result.values:
        names = ", ".join(head.name for head in heads) or "none"
        raise BundleError(
            f"the bundle has no head for age (ordinal) or gender (categorical) to measure; it has {names}"
        )
    return result


def _judge_category(
    head: CategoricalHead, probabilities: FloatArray, truth: Sequence[str], parse: Callable[[str], str], into: PerFace
) -> None:
    indices = _true_indices(head, truth, parse)
    if indices is None:
        raise BundleError(f"the bundle's {head.name} labels are {', '.join(head.labels)}; they do not fit the faces'")
    estimates = [attribute_estimate(head, row) for row in probabilities]
    into.values[f"{head.name}_accuracy"] = (probabilities.argmax(axis=1) == indices).astype(np.float64)
    into.unknown[head.name] = np.array([estimate.label is None for estimate in estimates])
    into.calibration[head.name] = expected_calibration_error(probabilities, indices)


def _judge_age(head: OrdinalHead, probabilities: FloatArray, truth: Sequence[str], into: PerFace) -> None:
    middles = bin_middles(AGE_EDGES)[[AGE_BINS.index(name) for name in truth]].astype(np.float64)
    estimates = [age_estimate(head, row) for row in probabilities]
    into.values["age_mae"] = np.abs(np.array([estimate.mean for estimate in estimates]) - middles)
    into.unknown["age"] = np.array([not estimate.known for estimate in estimates])
    low = np.array([estimate.low for estimate in estimates])
    high = np.array([estimate.high for estimate in estimates])
    into.covered = (low <= middles) & (middles <= high)
    indices = _true_indices(head, truth, parse_age)
    if indices is not None:  # with other bins than the data set's there are years to compare, but no bins
        into.values["age_bin_accuracy"] = (probabilities.argmax(axis=1) == indices).astype(np.float64)
        into.calibration["age"] = expected_calibration_error(probabilities, indices)


def _true_indices(head: Head, truth: Sequence[str], parse: Callable[[str], str]) -> IntArray | None:
    """(n,) index of each true label among the head's, or None if the head names other labels."""
    try:
        order = [parse(label) for label in head.labels]
        return np.array([order.index(name) for name in truth], dtype=np.int64)
    except (LabelError, ValueError):
        return None
