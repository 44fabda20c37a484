"""The report of an evaluation. All shares are 0 to 1, all intervals are 95 %."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from rapport_edge.evaluation.metrics import Values, difference_interval, mean_interval, wilson_interval
from rapport_edge.evaluation.per_face import PerFace, Truth
from rapport_edge.labels import AGE_BINS, GENDERS, RACES

#: Smaller groups are reported, but take no part in gaps: their figures are mostly chance.
SMALLEST_GROUP_IN_GAPS = 30

Interval = tuple[float, float]


class GroupFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of one group of faces; a figure that the bundle has no head for is null.

    Attributes:
        n: faces in the group.
        gender_accuracy, age_bin_accuracy, race_accuracy: share of faces whose most probable label is the true one, as
            if nothing were "unknown".
        age_mae: years between the expected age and the middle of the true age bin (`rapport_edge.labels.AGE_EDGES`).
        intervals: by figure; Wilson's for shares, normal for years.
    """

    n: int
    gender_accuracy: float | None = None
    age_mae: float | None = None
    age_bin_accuracy: float | None = None
    race_accuracy: float | None = None
    intervals: dict[str, Interval] = {}


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """The distance between the groups of the lowest and the highest value of a figure.

    Attributes:
        lowest, highest: names of the groups, among those with at least `SMALLEST_GROUP_IN_GAPS` faces.
        gap: highest minus lowest.
        interval: of the difference between these two groups. They were picked for being extreme, so it is too narrow.
    """

    lowest: str
    highest: str
    gap: float
    interval: Interval


class Report(GroupFigures, frozen=True, kw_only=True):
    """Figures of a bundle on a file of labelled faces.

    Attributes:
        n: faces measured, those that the detector missed included, unreadable pictures not.
        missed: faces that the detector did not find; they are encoded from the whole picture.
        unreadable: rows, counted from 0, whose picture could not be decoded.
        ece: the larger of gender_ece and age_ece.
        gender_ece, age_ece: expected calibration error of the most probable label, 15 bins of equal width.
        unknown_rate: share of all answers (faces times heads) that are "unknown".
        unknown_rates: the same for each head.
        age_interval_coverage: share of faces whose true bin's middle lies in the 80 % interval.
        groups: figures by column ("gender", "age", "race") and label; labels without faces are left out.
        gaps: by column and figure.
        bundle: name and version; digest: SHA-256 of the model; manifest_digest: SHA-256 of bundle.json.
        detector, encoder: what ran.
    """

    missed: int
    unreadable: list[int]
    ece: float
    gender_ece: float | None
    age_ece: float | None
    unknown_rate: float
    unknown_rates: dict[str, float]
    age_interval_coverage: float | None
    groups: dict[str, dict[str, GroupFigures]]
    gaps: dict[str, dict[str, Gap]]
    bundle: str
    digest: str
    manifest_digest: str
    detector: str
    encoder: str


def group_figures(values: Mapping[str, Values]) -> GroupFigures:
    """Means and intervals of per-face values, at least one face."""
    n = len(next(iter(values.values())))
    means = {name: float(value.mean()) for name, value in values.items()}
    intervals = {name: _interval(name, value) for name, value in values.items()}
    return msgspec.convert({"n": n, **means, "intervals": intervals}, GroupFigures)


def groups_of(result: PerFace, truth: Truth) -> dict[str, dict[str, GroupFigures]]:
    """Figures by column and label."""
    return {
        column: {label: group_figures(part) for label, part in _split(result.values, labels, names).items()}
        for column, labels, names in _columns(truth)
    }


def gaps_of(result: PerFace, truth: Truth) -> dict[str, dict[str, Gap]]:
    """Gaps by column and figure, where a column has at least two groups that are large enough."""
    gaps: dict[str, dict[str, Gap]] = {}
    for column, labels, names in _columns(truth):
        parts = _split(result.values, labels, names)
        for figure in result.values:
            samples = {
                label: part[figure] for label, part in parts.items() if len(part[figure]) >= SMALLEST_GROUP_IN_GAPS
            }
            if len(samples) > 1:
                gaps.setdefault(column, {})[figure] = _gap(samples)
    return gaps


def _gap(samples: Mapping[str, Values]) -> Gap:
    ordered = sorted(samples, key=lambda label: float(samples[label].mean()))
    low, high = samples[ordered[0]], samples[ordered[-1]]
    return Gap(
        lowest=ordered[0],
        highest=ordered[-1],
        gap=float(high.mean() - low.mean()),
        interval=difference_interval(high, low),
    )


def _columns(truth: Truth) -> list[tuple[str, Sequence[str], Sequence[str]]]:
    """Column, its labels in order, and the label of each face."""
    columns: list[tuple[str, Sequence[str], Sequence[str]]] = [
        ("gender", GENDERS, truth.genders),
        ("age", AGE_BINS, truth.ages),
    ]
    return columns if truth.races is None else [*columns, ("race", RACES, truth.races)]


def _split(values: Mapping[str, Values], labels: Sequence[str], names: Sequence[str]) -> dict[str, dict[str, Values]]:
    """Per-face values of the faces of each label; labels without faces are left out."""
    assigned = np.array(names)
    members = {label: assigned == label for label in labels}
    return {
        label: {figure: value[mask] for figure, value in values.items()}
        for label, mask in members.items()
        if mask.any()
    }


def _interval(name: str, values: Values) -> Interval:
    return mean_interval(values) if name == "age_mae" else wilson_interval(int(values.sum()), len(values))
