"""What a linear classifier finds in frozen embeddings (Radford et al. 2021, Section 3.2), beside zero-shot."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from rapport_edge.bundle.manifest import Calibration
from rapport_edge.faces import FloatArray
from rapport_training.data.user_faces import UserFaces
from rapport_training.demographic.evaluation.attributes import Attributes, head_of, measure_attributes
from rapport_training.demographic.evaluation.prompts import LABELS, short_prompts
from rapport_training.demographic.evaluation.zero_shot import Split

#: Inverse regularisation strengths that are tried.
STRENGTHS = (0.001, 0.01, 0.1, 1.0)


def probe_rows(faces: UserFaces, limit: int) -> NDArray[np.int64]:
    """At most `limit` faces to fit on, those with the lowest content hashes: an arbitrary but fixed choice."""
    return np.sort(np.argsort(faces.content, kind="stable")[:limit])


def linear_probe(train: Split, val: Split, test: Split) -> Attributes:
    """Logistic regression per attribute on standardised embeddings, its strength chosen on the validation split.

    Args:
        train: fitted on.
        val: the strength with the least log-loss here wins; no calibration.
        test: measured.
    """
    shared = [
        name
        for name in test.labelled.attributes
        if name in val.labelled.attributes and len(np.unique(_truth(train, name))) > 1
    ]
    heads, probabilities = [], {}
    for name in shared:
        model = _best(name, train, val)
        probabilities[name] = _probabilities(model, test.embeddings, len(LABELS[name]))
        none = Calibration(scale=1.0, bias=(0.0,) * len(LABELS[name]))
        heads.append(head_of(name, short_prompts(name), none))
    return measure_attributes(heads, probabilities, test.labelled)


def _best(attribute: str, train: Split, val: Split) -> Pipeline:
    truth, labels = _truth(train, attribute), LABELS[attribute]
    wanted = val.labelled.indices(attribute)
    fitted = []
    for strength in STRENGTHS:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=300))
        with warnings.catch_warnings():  # a probe that is stopped early is a probe that the validation split judges
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(train.embeddings, truth)
        found = _probabilities(model, val.embeddings, len(labels))
        fitted.append((log_loss(wanted, found, labels=np.arange(len(labels))), strength, model))
    return min(fitted, key=lambda item: item[:2])[2]


def _probabilities(model: Pipeline, embeddings: FloatArray, labels: int) -> FloatArray:
    """(n, labels); a label that the training faces do not have gets a probability near zero."""
    found = np.full((len(embeddings), labels), 1e-7)
    found[:, model.classes_] = np.maximum(model.predict_proba(embeddings), 1e-7)
    return np.asarray(found / found.sum(axis=1, keepdims=True), dtype=np.float32)


def _truth(split: Split, attribute: str) -> NDArray[np.int64]:
    """Empty if the split has no such labels."""
    return split.labelled.indices(attribute) if attribute in split.labelled.attributes else np.empty(0, dtype=np.int64)
