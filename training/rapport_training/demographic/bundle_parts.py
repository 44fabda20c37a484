"""The parts of a demographic-encoder's manifest: heads, graph, data set and figures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from rapport_edge.bundle.manifest import (
    Calibration,
    CategoricalHead,
    DataSet,
    Golden,
    Head,
    ImageInput,
    Metric,
    Model,
    OrdinalHead,
    TensorSpec,
)
from rapport_edge.evaluation import Report
from rapport_edge.labels import AGE_EDGES
from rapport_training.data.schema import DESCRIPTION
from rapport_training.data.user_faces import UserFaces
from rapport_training.demographic.recipe import Unknown

ONNX_NAME, GOLDEN_NAME = "image_encoder.onnx", "golden.npz"

#: A race is "unknown" more often than a gender: with seven labels half the probability is already a clear answer.
RACE_UNKNOWN_BELOW = 0.5


def head_of(name: str, prompts: Mapping[str, Sequence[str]], calibration: Calibration, unknown: Unknown) -> Head:
    """A zero-shot head; "age" has bins, any other attribute has labels without order."""
    common = {
        "name": name,
        "labels": tuple(prompts),
        "prompts": {label: tuple(sentences) for label, sentences in prompts.items()},
        "array": f"{name}_prompts.npy",
        "calibration": calibration,
    }
    if name == "age":
        return OrdinalHead(**common, bin_edges=AGE_EDGES, unknown_above_std=unknown.age_above_std)
    return CategoricalHead(**common, unknown_below=RACE_UNKNOWN_BELOW if name == "race" else unknown.gender_below)


def image_model(size: int, dim: int) -> Model:
    """The manifest's description of the image tower's graph."""
    image = ImageInput(layout="NHWC", colour_order="RGB")
    return Model(
        file=ONNX_NAME,
        inputs=(TensorSpec(name="faces", shape=("batch", size, size, 3), dtype="uint8", image=image),),
        outputs=(TensorSpec(name="embeddings", shape=("batch", dim), dtype="float32"),),
        golden=Golden(file=GOLDEN_NAME, tolerance=1e-3),
    )


def data_set_of(faces: UserFaces) -> DataSet:
    """What the data set's folder says of its origin."""
    about = json.loads((faces.folder / DESCRIPTION).read_text(encoding="utf-8"))
    licence, attribution = str(about.get("licence") or "not stated"), str(about.get("attribution") or "")
    return DataSet(name=faces.name, role="training and evaluation", licence=licence, attribution=attribution)


def metrics_of(report: Report, measured_on: str) -> tuple[Metric, ...]:
    """A report's figures, overall and per group, in the manifest's form.

    Args:
        report: of the bundle.
        measured_on: data set and split, such as "FairUser test".
    """
    names = ("gender_accuracy", "age_mae", "age_bin_accuracy", "race_accuracy")
    overall = (*names, "gender_ece", "age_ece", "unknown_rate")
    rows = [("", report, name) for name in overall]
    for column, groups in report.groups.items():
        rows += [(f"{column}: {label}", figures, name) for label, figures in groups.items() for name in names]
    return tuple(
        Metric(name=name, value=float(value), split=measured_on, n=figures.n, group=group)
        for group, figures, name in rows
        if (value := getattr(figures, name)) is not None
    )
