"""Zero-shot heads and linear probe on embeddings whose right figures are known."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="the training package is not installed")

from rapport_edge.evaluation.per_face import Truth
from rapport_edge.labels import AGE_BINS, GENDERS, RACES
from rapport_training.demographic.evaluation.labelled import Labelled
from rapport_training.demographic.evaluation.linear_probe import linear_probe
from rapport_training.demographic.evaluation.prompts import (
    ENSEMBLES,
    LABELS,
    caption_prompts,
    embed_prompts,
    short_prompts,
)
from rapport_training.demographic.evaluation.zero_shot import Split, zero_shot

NAMES = [*AGE_BINS, *GENDERS, *RACES]


def one_hot_texts(sentences) -> np.ndarray:
    """A text tower that reads each sentence's label perfectly: one axis per label."""
    found = np.zeros((len(sentences), len(NAMES)), dtype=np.float32)
    for row, sentence in enumerate(sentences):
        for attribute, make in ((name, make) for make in ENSEMBLES.values() for name in LABELS):
            for label, wordings in make(attribute).items():
                if sentence in wordings:
                    found[row, NAMES.index(label)] = 1.0
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def split(count: int, seed: int, noise: float = 0.0) -> Split:
    """People whose embedding is their labels, or noise."""
    rng = np.random.default_rng(seed)
    picked = {name: rng.integers(len(labels), size=count) for name, labels in LABELS.items()}
    names = {name: [LABELS[name][index] for index in picked[name]] for name in LABELS}
    embeddings = noise * rng.standard_normal((count, len(NAMES)))
    for values in names.values():
        embeddings[np.arange(count), [NAMES.index(value) for value in values]] += 1.0
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    truth = Truth(names["age"], names["gender"], names["race"])
    return Split(embeddings.astype(np.float32), Labelled(tuple(LABELS), np.arange(count), truth, {}))


def test_a_perfect_model_is_perfect_in_every_group() -> None:
    found = zero_shot(one_hot_texts, 10.0, split(120, 0), split(400, 1))
    overall = found.overall
    assert (overall.gender_accuracy, overall.age_bin_accuracy, overall.race_accuracy) == (1.0, 1.0, 1.0)
    assert overall.age_mae < 0.5
    assert all(group.gender_accuracy == 1.0 for groups in found.groups.values() for group in groups.values())
    assert set(found.groups) == {"age", "gender", "race", "gender x race"}
    assert len(found.groups["gender x race"]) == 14
    assert found.attributes["gender"].ece < 0.02
    assert found.attributes["gender"].ece <= found.attributes["gender"].plain_ece
    assert np.trace(np.array(found.attributes["age"].confusion)) == 400


def test_noise_is_at_chance_for_zero_shot_and_probe() -> None:
    train, val, test = (split(600, seed, noise=1e6) for seed in (0, 1, 2))
    for found in (zero_shot(one_hot_texts, 10.0, val, test), linear_probe(train, val, test)):
        assert found.overall.gender_accuracy == pytest.approx(1 / 2, abs=0.08)
        assert found.overall.age_bin_accuracy == pytest.approx(1 / 9, abs=0.06)
        assert found.overall.race_accuracy == pytest.approx(1 / 7, abs=0.06)
        low, high = found.overall.intervals["gender_accuracy"]
        assert low < found.overall.gender_accuracy < high


def test_a_linear_probe_reads_what_is_there() -> None:
    found = linear_probe(split(600, 0, 0.05), split(100, 1, 0.05), split(300, 2, 0.05))
    assert found.overall.gender_accuracy == 1.0
    assert found.overall.age_bin_accuracy > 0.99
    assert found.attributes["age"].ensemble == ""


def test_gaps_name_the_group_that_is_served_worst() -> None:
    test = split(800, 3)
    worst = np.array(test.labelled.truth.races) == "Indian"
    embeddings = test.embeddings.copy()
    columns = [NAMES.index(name) for name in GENDERS]
    embeddings[np.ix_(worst, columns)] = embeddings[np.ix_(worst, columns[::-1])]
    found = zero_shot(one_hot_texts, 10.0, split(120, 0), Split(embeddings, test.labelled))
    gap = found.gaps["race"]["gender_accuracy"]
    assert (gap.lowest, gap.gap) == ("Indian", 1.0)
    assert "Indian" in found.gaps["gender x race"]["gender_accuracy"].lowest


def test_prompts_are_ensembles_of_unit_length_and_speak_of_their_label() -> None:
    assert len(caption_prompts("gender")["Male"]) == 63
    assert len(caption_prompts("age")["0-2"]) == 14
    assert "The person appears to be black female, approximately 20-29 years old" in caption_prompts("race")["Black"]
    assert all("latino or hispanic" in text for text in short_prompts("race")["Latino_Hispanic"])
    for make in ENSEMBLES.values():
        for attribute, labels in LABELS.items():
            prompts = make(attribute)
            assert tuple(prompts) == labels
            norms = np.linalg.norm(embed_prompts(prompts, one_hot_texts), axis=1)
            np.testing.assert_allclose(norms, 1.0, atol=1e-6)


class Faces:
    """Labels alone."""

    def __init__(self, age: list[str], gender: list[str], race: list[str]) -> None:
        self.age, self.gender, self.race = np.array(age), np.array(gender), np.array(race)
        self.name = "Some set"

    def __len__(self) -> int:
        return len(self.age)


def test_labels_that_cannot_be_compared_are_left_out_with_a_reason() -> None:
    found = Labelled.of(Faces(["0-2", "3-9", ""], ["Male", "Female", "Male"], ["Asian", "Asian", "Asian"]))
    assert found.attributes == ("age", "gender")
    assert found.rows.tolist() == [0, 1]
    assert found.truth.races is None
    assert "Asian" in found.skipped["race"]
    none = Labelled.of(Faces([""], [""], [""]))
    assert none.attributes == ()
    assert none.skipped["age"] == "Some set has no labels of age"
