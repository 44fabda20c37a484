"""Age, gender and race from probabilities of any origin against the labels: per group, with gaps and intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from rapport_edge.bundle.manifest import Calibration, CategoricalHead, Head, OrdinalHead
from rapport_edge.evaluation.metrics import difference_interval
from rapport_edge.evaluation.per_face import PerFace, Truth, judge
from rapport_edge.evaluation.report import (
    SMALLEST_GROUP_IN_GAPS,
    Gap,
    GroupFigures,
    gaps_of,
    group_figures,
    groups_of,
)
from rapport_edge.faces import FloatArray
from rapport_edge.labels import AGE_EDGES, GENDERS, RACES
from rapport_training.demographic.evaluation.labelled import Labelled
from rapport_training.demographic.evaluation.prompts import LABELS, Prompts
from rapport_training.demographic.recipe import Unknown

_RELIABILITY_BINS = 10


class Reliability(msgspec.Struct, frozen=True, kw_only=True):
    """One point of a calibration curve: faces whose top label has about this probability."""

    confidence: float
    accuracy: float
    n: int


class AttributeFigures(msgspec.Struct, frozen=True, kw_only=True):
    """How much the probabilities of an attribute can be believed.

    Attributes:
        ensemble: which prompts won on the validation split.
        scale: 1 / temperature, fitted there.
        ece: expected calibration error with the fitted scale and bias.
        plain_ece, plain_accuracy: with the model's own temperature and no bias: zero-shot in the strict sense.
        reliability: the calibration curve.
        confusion: faces by true label (rows) and answer (columns), in the order of `prompts.LABELS`.
    """

    ensemble: str = ""
    scale: float | None = None
    ece: float
    plain_ece: float | None = None
    plain_accuracy: float | None = None
    reliability: list[Reliability]
    confusion: list[list[int]]


class Attributes(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of a way to tell the attributes of a face; see `rapport_edge.evaluation.report`.

    Attributes:
        overall: of all labelled faces.
        groups: by column ("gender", "age", "race", "gender x race") and group.
        gaps: by column and figure.
        attributes: by attribute.
    """

    overall: GroupFigures
    groups: dict[str, dict[str, GroupFigures]]
    gaps: dict[str, dict[str, Gap]]
    attributes: dict[str, AttributeFigures]


def measure_attributes(
    heads: Sequence[Head], probabilities: Mapping[str, FloatArray], labelled: Labelled
) -> Attributes:
    """Compares probabilities of any origin with the labels, overall and per group.

    Args:
        heads: of the attributes that are measured, from `head_of`.
        probabilities: (n, k) by attribute.
        labelled: the truth about the n faces.
    """
    judged = judge(heads, probabilities, labelled.truth)
    groups, gaps = groups_of(judged, labelled.truth), gaps_of(judged, labelled.truth)
    members = _gender_and_race(labelled.truth)
    if members:
        groups["gender x race"] = {
            name: group_figures({figure: value[mask] for figure, value in judged.values.items()})
            for name, mask in members.items()
        }
        gaps["gender x race"] = _gaps(judged, members)
    return Attributes(
        overall=group_figures(judged.values),
        groups=groups,
        gaps={column: by_figure for column, by_figure in gaps.items() if by_figure},
        attributes={
            head.name: AttributeFigures(
                ece=judged.calibration[head.name],
                reliability=_reliability(probabilities[head.name], labelled.indices(head.name)),
                confusion=_confusion(probabilities[head.name], labelled.indices(head.name)),
            )
            for head in heads
        },
    )


def head_of(attribute: str, texts: Prompts, calibration: Calibration) -> Head:
    """The attribute as a head of a bundle, which is what the robot's evaluation compares."""
    unknown, labels = Unknown(), LABELS[attribute]
    array = f"{attribute}_prompts.npy"
    if attribute == "age":
        return OrdinalHead(
            name=attribute,
            labels=labels,
            prompts=texts,
            array=array,
            calibration=calibration,
            bin_edges=AGE_EDGES,
            unknown_above_std=unknown.age_above_std,
        )
    return CategoricalHead(
        name=attribute,
        labels=labels,
        prompts=texts,
        array=array,
        calibration=calibration,
        unknown_below=unknown.gender_below,
    )


def _gender_and_race(truth: Truth) -> dict[str, NDArray[np.bool_]]:
    """Members by group such as "Female, Indian"; groups without faces are left out."""
    if truth.races is None:
        return {}
    genders, races = np.array(truth.genders), np.array(truth.races)
    masks = {f"{gender}, {race}": (genders == gender) & (races == race) for gender in GENDERS for race in RACES}
    return {name: mask for name, mask in masks.items() if mask.any()}


def _gaps(judged: PerFace, members: Mapping[str, NDArray[np.bool_]]) -> dict[str, Gap]:
    """As `rapport_edge.evaluation.report.gaps_of`, for groups of two labels."""
    large = {name: mask for name, mask in members.items() if mask.sum() >= SMALLEST_GROUP_IN_GAPS}
    if len(large) < 2:
        return {}
    gaps = {}
    for figure, values in judged.values.items():
        ordered = sorted(large, key=lambda name: float(values[large[name]].mean()))
        low, high = values[large[ordered[0]]], values[large[ordered[-1]]]
        gaps[figure] = Gap(
            lowest=ordered[0],
            highest=ordered[-1],
            gap=float(high.mean() - low.mean()),
            interval=difference_interval(high, low),
        )
    return gaps


def _reliability(probabilities: FloatArray, truth: NDArray[np.int64]) -> list[Reliability]:
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    bins = np.minimum((confidence * _RELIABILITY_BINS).astype(int), _RELIABILITY_BINS - 1)
    return [
        Reliability(
            confidence=float(confidence[bins == index].mean()),
            accuracy=float(right[bins == index].mean()),
            n=int((bins == index).sum()),
        )
        for index in np.unique(bins)
    ]


def _confusion(probabilities: FloatArray, truth: NDArray[np.int64]) -> list[list[int]]:
    labels = probabilities.shape[1]
    counts = np.bincount(truth * labels + probabilities.argmax(axis=1), minlength=labels * labels)
    return [[int(count) for count in row] for row in counts.reshape(labels, labels)]
