"""Attributes without a classifier: which label's prompts are most like a face, per group and with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from rapport_edge.bundle.manifest import Calibration
from rapport_edge.encoding.zero_shot import zero_shot_probabilities
from rapport_edge.evaluation.metrics import expected_calibration_error
from rapport_edge.faces import FloatArray
from rapport_training.demographic.calibration import fit_calibration
from rapport_training.demographic.evaluation.attributes import (
    AttributeFigures,
    Attributes,
    head_of,
    measure_attributes,
)
from rapport_training.demographic.evaluation.labelled import Labelled
from rapport_training.demographic.evaluation.prompts import ENSEMBLES, EmbedTexts, Prompts, embed_prompts


@dataclass(frozen=True)
class Split:
    """A split as the classifiers here see it: (n, d) embeddings of the faces that have labels."""

    embeddings: FloatArray
    labelled: Labelled


@dataclass(frozen=True)
class _Fitted:
    """A zero-shot head: wordings, their embeddings, and the calibration from the validation split."""

    ensemble: str
    texts: Prompts
    prompts: FloatArray
    calibration: Calibration
    loss: float


def zero_shot(embed: EmbedTexts, logit_scale: float, val: Split, test: Split) -> Attributes:
    """Accuracy, age error and calibration of the zero-shot heads.

    Args:
        embed: the text tower.
        logit_scale: 1 / temperature that the model was trained to, for the strict zero-shot figures.
        val: scale, bias and wording are chosen on it.
        test: measured; its attributes are measured that both splits have.
    """
    shared = [name for name in test.labelled.attributes if name in val.labelled.attributes]
    embed = _embedded_once(shared, embed)
    heads, probabilities, details = [], {}, {}
    for name in shared:
        fitted = _fit(name, embed, val)
        heads.append(head_of(name, fitted.texts, fitted.calibration))
        probabilities[name] = zero_shot_probabilities(test.embeddings, fitted.prompts, fitted.calibration)
        uncalibrated = Calibration(scale=logit_scale, bias=(0.0,) * len(fitted.texts))
        plain = zero_shot_probabilities(test.embeddings, fitted.prompts, uncalibrated)
        details[name] = (fitted, plain)
    measured = measure_attributes(heads, probabilities, test.labelled)
    return msgspec.structs.replace(
        measured,
        attributes={
            name: _with_details(figures, *details[name], test.labelled.indices(name))
            for name, figures in measured.attributes.items()
        },
    )


def _embedded_once(attributes: Sequence[str], embed: EmbedTexts) -> EmbedTexts:
    """The text tower's answers to all prompts: FairUser's captions serve every attribute, and batches are full."""
    prompts = [texts for make in ENSEMBLES.values() for name in attributes for texts in make(name).values()]
    sentences = sorted({sentence for texts in prompts for sentence in texts})
    place = {sentence: index for index, sentence in enumerate(sentences)}
    embeddings = embed(sentences)
    return lambda asked: embeddings[[place[sentence] for sentence in asked]]


def _fit(attribute: str, embed: EmbedTexts, val: Split) -> _Fitted:
    """The ensemble with the least negative log-likelihood on the validation split, calibrated there."""
    truth = val.labelled.indices(attribute)
    candidates = []
    for name, make in ENSEMBLES.items():
        texts = make(attribute)
        prompts = embed_prompts(texts, embed)
        calibration = fit_calibration(val.embeddings, prompts, truth)
        probabilities = zero_shot_probabilities(val.embeddings, prompts, calibration)
        loss = -float(np.log(np.maximum(probabilities[np.arange(len(truth)), truth], 1e-12)).mean())
        candidates.append(_Fitted(name, texts, prompts, calibration, loss))
    return min(candidates, key=lambda fitted: fitted.loss)


def _with_details(
    figures: AttributeFigures, fitted: _Fitted, plain: FloatArray, truth: NDArray[np.int64]
) -> AttributeFigures:
    return msgspec.structs.replace(
        figures,
        ensemble=fitted.ensemble,
        scale=fitted.calibration.scale,
        plain_ece=expected_calibration_error(plain, truth),
        plain_accuracy=float((plain.argmax(axis=1) == truth).mean()),
    )
