"""Figures from predictions that are known: which face counts where."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from tiny_bundle import age_head, gender_head

from rapport_edge.errors import BundleError
from rapport_edge.evaluation.per_face import Truth, judge
from rapport_edge.evaluation.report import SMALLEST_GROUP_IN_GAPS, gaps_of, groups_of
from rapport_edge.faces import FloatArray

TRUTH = Truth(
    ages=["3-9", "20-29", "20-29", "more than 70"],
    genders=["Female", "Male", "Male", "Female"],
    races=["White", "Black", "Black", "Indian"],
)


def _probabilities() -> dict[str, FloatArray]:
    """Gender right, wrong, right without confidence, right; age right, right, one bin off, all over the place."""
    age = np.zeros((4, 9), dtype=np.float32)
    age[0, 1] = age[1, 3] = age[2, 4] = 1.0
    age[3] = 1 / 9
    gender = np.array([[0.1, 0.9], [0.2, 0.8], [0.55, 0.45], [0.3, 0.7]], dtype=np.float32)
    return {"gender": gender, "age": age}


def test_judges_each_face() -> None:
    result = judge((gender_head(), age_head()), _probabilities(), TRUTH)
    assert result.values["gender_accuracy"].tolist() == [1, 0, 1, 1]  # unknown answers count as if they were given
    assert result.unknown["gender"].tolist() == [False, False, True, False]
    mean_of_all = np.mean([1, 6, 14.5, 24.5, 34.5, 44.5, 54.5, 64.5, 74.5])
    assert result.values["age_mae"] == pytest.approx([0, 0, 10, 74.5 - mean_of_all], abs=1e-4)
    assert result.values["age_bin_accuracy"].tolist() == [1, 1, 0, 0]
    assert result.unknown["age"].tolist() == [False, False, False, True]
    assert result.covered is not None
    assert result.covered.tolist() == [True, True, False, False]


def test_groups_are_by_true_label() -> None:
    groups = groups_of(judge((gender_head(), age_head()), _probabilities(), TRUTH), TRUTH)
    assert {column: list(labels) for column, labels in groups.items()} == {
        "gender": ["Male", "Female"],
        "age": ["3-9", "20-29", "more than 70"],
        "race": ["Black", "Indian", "White"],
    }
    assert groups["gender"]["Male"].gender_accuracy == 0.5
    assert groups["age"]["20-29"].age_mae == pytest.approx(5.0)
    assert sum(group.n for group in groups["race"].values()) == 4


def test_gaps_leave_small_groups_out() -> None:
    many = SMALLEST_GROUP_IN_GAPS
    truth = Truth(ages=["3-9"] * (2 * many + 1), genders=["Male"] * many + ["Female"] * (many + 1), races=None)
    gender = np.tile(np.array([[0.9, 0.1]], dtype=np.float32), (2 * many + 1, 1))
    gaps = gaps_of(judge((gender_head(),), {"gender": gender}, truth), truth)
    assert list(gaps) == ["gender"]
    gap = gaps["gender"]["gender_accuracy"]
    assert (gap.lowest, gap.highest, gap.gap) == ("Female", "Male", 1.0)


def test_label_order_is_the_bundles() -> None:
    turned = msgspec.structs.replace(gender_head(), labels=("Female", "Male"))
    probabilities = {"gender": _probabilities()["gender"][:, ::-1]}
    result = judge((turned,), probabilities, TRUTH)
    assert result.values["gender_accuracy"].tolist() == [1, 0, 1, 1]


def test_other_bins_leave_years_to_compare() -> None:
    coarse = msgspec.structs.replace(age_head(), labels=("young", "old"), bin_edges=(0.0, 40.0, 80.0))
    result = judge((coarse,), {"age": np.tile(np.array([[1.0, 0.0]], dtype=np.float32), (4, 1))}, TRUTH)
    assert result.values["age_mae"].tolist() == [13.5, 5.0, 5.0, 55.0]
    assert "age_bin_accuracy" not in result.values


def test_refuses_labels_that_cannot_be_compared() -> None:
    odd = msgspec.structs.replace(gender_head(), labels=("cat", "dog"))
    with pytest.raises(BundleError, match="gender labels are cat, dog"):
        judge((odd,), _probabilities(), TRUTH)
    with pytest.raises(BundleError, match="no head for age"):
        judge((msgspec.structs.replace(gender_head(), name="mood"),), {"mood": _probabilities()["gender"]}, TRUTH)
