"""The rules that hold for any views of a track."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tiny_bundle import age_head, gender_head

from rapport_edge.bundle.manifest import CategoricalHead
from rapport_edge.faces import DemographicEstimate, FloatArray
from rapport_edge.fusion import FusionSettings, TrackFusion

HEADS = (gender_head(), age_head())
BINS = len(age_head().labels)
DIM = 4
LENIENT = FusionSettings(memory=1e6, break_cosine=-1.0)


@dataclass(frozen=True)
class View:
    embedding: FloatArray
    gender: FloatArray
    age: FloatArray
    weight: float

    @property
    def probabilities(self) -> dict[str, FloatArray]:
        return {"gender": self.gender, "age": self.age}


def draw_view(seed: int, concentration: float) -> View:
    """Low concentrations give views that are sure, high ones views that know nothing."""
    random = np.random.default_rng(seed)
    embedding = random.normal(size=DIM)
    gender, age = ((random.dirichlet([concentration] * count) + 1e-6).astype(np.float32) for count in (2, BINS))
    unit = (embedding / np.linalg.norm(embedding)).astype(np.float32)
    return View(unit, gender / gender.sum(), age / age.sum(), float(random.uniform(0.01, 1.0)))


views = st.builds(draw_view, st.integers(0, 2**32 - 1), st.sampled_from([0.05, 1.0, 20.0]))
many = st.lists(views, min_size=1, max_size=12)


def fused(seen: list[View], settings: FusionSettings = LENIENT) -> DemographicEstimate:
    fusion = TrackFusion(HEADS, "digest", settings)
    for view in seen:
        fusion.add(view.embedding, view.probabilities, view.weight)
    estimate = fusion.estimate()
    assert estimate is not None
    return estimate


def age_of(estimate: DemographicEstimate) -> FloatArray:
    assert estimate.age is not None
    return estimate.age.distribution.probabilities


def direction(degrees: float) -> FloatArray:
    radians = math.radians(degrees)
    return np.array([math.cos(radians), math.sin(radians), 0, 0], dtype=np.float32)


def view(degrees: float = 0.0, male: float = 0.8, weight: float = 1.0) -> View:
    labels = gender_head().labels
    gender = np.array([male if label == "Male" else 1 - male for label in labels], dtype=np.float32)
    return View(direction(degrees), gender, np.full(BINS, 1 / BINS, dtype=np.float32), weight)


def male(estimate: DemographicEstimate) -> float:
    return float(estimate.attributes["gender"].probabilities[gender_head().labels.index("Male")])


@given(many)
def test_fused_probabilities_sum_to_one_and_the_embedding_has_unit_length(seen: list[View]) -> None:
    mean = sum(view.weight * view.embedding.astype(float) for view in seen)
    assume(float(np.linalg.norm(mean)) > 1e-3)
    estimate = fused(seen)
    assert float(estimate.attributes["gender"].probabilities.sum()) == pytest.approx(1.0, abs=1e-5)
    assert float(age_of(estimate).sum()) == pytest.approx(1.0, abs=1e-5)
    assert float(np.linalg.norm(estimate.embedding)) == pytest.approx(1.0, abs=1e-5)
    assert (estimate.observations, estimate.model_digest) == (len(seen), "digest")


@given(many)
def test_every_probability_stays_between_those_of_the_views(seen: list[View]) -> None:
    probabilities = age_of(fused(seen))
    stacked = np.stack([view.age for view in seen])
    assert (probabilities <= stacked.max(axis=0) + 1e-5).all()
    assert (probabilities >= stacked.min(axis=0) - 1e-5).all()


@given(many)
def test_fusing_is_never_surer_than_the_surest_view(seen: list[View]) -> None:
    estimate = fused(seen)
    surest = max(float(view.gender.max()) for view in seen)
    assert estimate.attributes["gender"].confidence <= surest + 1e-5


@given(many, st.randoms())
def test_the_order_of_views_does_not_matter_while_nothing_is_forgotten(seen: list[View], random) -> None:
    shuffled = list(seen)
    random.shuffle(shuffled)
    np.testing.assert_allclose(age_of(fused(seen)), age_of(fused(shuffled)), atol=1e-6)


@given(many, views, st.integers(0, 12))
def test_a_view_of_weight_zero_changes_nothing(seen: list[View], extra: View, place: int) -> None:
    ignored = View(extra.embedding, extra.gender, extra.age, 0.0)
    longer = [*seen[:place], ignored, *seen[place:]]
    strict = FusionSettings(memory=2.0, break_cosine=0.5, break_views=2)
    np.testing.assert_array_equal(age_of(fused(seen, strict)), age_of(fused(longer, strict)))
    assert fused(seen, strict).observations == fused(longer, strict).observations


@given(many, st.floats(0.1, 1.0))
def test_only_the_ratio_of_weights_matters(seen: list[View], factor: float) -> None:
    scaled = [View(view.embedding, view.gender, view.age, view.weight * factor) for view in seen]
    np.testing.assert_allclose(age_of(fused(seen)), age_of(fused(scaled)), atol=1e-5)


@given(many, st.permutations(range(BINS)))
def test_permuting_the_labels_permutes_the_result(seen: list[View], order: list[int]) -> None:
    head = age_head()
    labels = tuple(head.labels[i] for i in order)
    permuted = CategoricalHead(
        name="age",
        labels=labels,
        prompts={label: head.prompts[label] for label in labels},
        array=head.array,
        calibration=head.calibration,
        unknown_below=0.0,
    )
    fusion = TrackFusion((permuted,), "digest", LENIENT)
    for one in seen:
        fusion.add(one.embedding, {"age": one.age[order]}, one.weight)
    estimate = fusion.estimate()
    assert estimate is not None
    np.testing.assert_allclose(estimate.attributes["age"].probabilities, age_of(fused(seen))[order], atol=1e-6)


@given(many, st.floats(0.5, 5.0))
def test_forgetting_keeps_distributions_distributions(seen: list[View], memory: float) -> None:
    estimate = fused(seen, FusionSettings(memory=memory, break_cosine=-1.0))
    assert float(age_of(estimate).sum()) == pytest.approx(1.0, abs=1e-5)


def test_a_better_view_weighs_more() -> None:
    assert male(fused([view(male=0.9, weight=0.9), view(male=0.1, weight=0.1)])) == pytest.approx(0.82, abs=1e-5)


def test_views_that_disagree_widen_the_age() -> None:
    young, old = np.eye(BINS, dtype=np.float32)[[1, BINS - 1]]
    gender = np.array([0.5, 0.5], dtype=np.float32)
    agreeing = fused([View(direction(0), gender, young, 1.0)] * 2)
    disagreeing = fused([View(direction(0), gender, row, 1.0) for row in (young, old)])
    assert agreeing.age is not None
    assert disagreeing.age is not None
    assert disagreeing.age.std > 3 * agreeing.age.std
    assert agreeing.age.known
    assert not disagreeing.age.known


def test_a_long_track_can_still_change_its_mind() -> None:
    before, after = [view(male=0.9)] * 200, [view(male=0.1)] * 30
    assert male(fused(before + after)) > 0.7
    assert male(fused(before + after, FusionSettings(memory=10.0))) < 0.2


def test_a_break_of_identity_forgets_wholly() -> None:
    settings = FusionSettings(break_cosine=0.5, break_views=3)
    known, stranger = [view(0, male=0.95)] * 5, view(120, male=0.2)
    fusion = TrackFusion(HEADS, "digest", settings)
    for one in known:
        fusion.add(one.embedding, one.probabilities, one.weight)
    for expected in (5, 5, 3, 4):
        fusion.add(stranger.embedding, stranger.probabilities, stranger.weight)
        assert fusion.observations == expected
    estimate = fusion.estimate()
    assert estimate is not None
    assert fusion.breaks == 1
    assert male(estimate) == pytest.approx(0.2, abs=1e-5)
    np.testing.assert_allclose(estimate.embedding, direction(120), atol=1e-5)


def test_single_outliers_are_left_out() -> None:
    settings = FusionSettings(break_cosine=0.5, break_views=2)
    estimate = fused([view(0), view(0), view(120, male=0.0), view(0), view(120, male=0.0), view(0)], settings)
    assert estimate.observations == 4
    assert male(estimate) == pytest.approx(0.8, abs=1e-5)


def test_there_is_no_estimate_before_the_first_view() -> None:
    fusion = TrackFusion(HEADS, "digest")
    assert fusion.estimate() is None
    one = view(weight=0.0)
    fusion.add(one.embedding, one.probabilities, one.weight)
    assert fusion.estimate() is None


def test_heads_that_were_not_asked_for_are_not_in_the_estimate() -> None:
    fusion = TrackFusion((gender_head(),), "digest")
    one = view()
    fusion.add(one.embedding, one.probabilities, one.weight)
    estimate = fusion.estimate()
    assert estimate is not None
    assert estimate.age is None
    assert set(estimate.attributes) == {"gender"}


@pytest.mark.parametrize("weight", [-0.1, math.nan, math.inf])
def test_a_weight_that_is_no_weight_is_refused(weight: float) -> None:
    one = view()
    with pytest.raises(ValueError, match="weight"):
        TrackFusion(HEADS, "digest").add(one.embedding, one.probabilities, weight)


def test_a_missing_attribute_is_an_error() -> None:
    with pytest.raises(KeyError, match="age"):
        TrackFusion(HEADS, "digest").add(direction(0), {"gender": view().gender}, 1.0)
