"""The age and gender network of face-api.js (Mühler, MIT), as one ONNX file: a peer of the demographic encoder.

Input `image` (n, 3, 112, 112) float32 RGB, 0 to 255; the graph subtracts the mean itself. Outputs: `age` (n, 1) in
years and `gender` (n, 2), probabilities of male and female. It takes whole face crops without alignment.

How the crop is made small moves its figures a little. On 3,000 faces of FairFace (128 x 128 JPEG, ages to the middles
of `rapport_edge.labels.AGE_EDGES`), gender accuracy and mean age error in years: Pillow bicubic, its default and used
here, 0.826 and 7.10; Pillow bilinear 0.828 and 6.98; OpenCV area 0.827 and 6.99; OpenCV linear 0.826 and 7.01.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from PIL import Image

from rapport_edge.engines import Engine, EngineSettings, create_engine
from rapport_edge.errors import ImageError
from rapport_edge.evaluation import DataSetError, LabelledFaces
from rapport_edge.evaluation.per_face import PerFace, Truth
from rapport_edge.evaluation.report import group_figures, groups_of
from rapport_edge.faces import ByteImage, FloatArray
from rapport_edge.images import decode_compressed
from rapport_edge.labels import AGE_BINS, AGE_EDGES, bin_middles

SIZE = 112


def evaluate_peer(onnx: Path, faces: Path, limit: int | None = None, threads: int = 1) -> dict[str, Any]:
    """Measures the peer on labelled faces, with figures named and defined as in `rapport_edge.evaluation.Report`.

    Args:
        onnx: peer_age_gender_112.onnx.
        faces: Parquet file with columns image, age, gender and, if wanted, race.
        limit: measure the first faces only.
        threads: of the CPU.

    Returns:
        n, unreadable (rows), gender_accuracy, age_mae, their intervals, and groups.

    Raises:
        ModelError: if the ONNX file cannot be run.
        DataSetError: if the faces cannot be read.
    """
    labelled = LabelledFaces(faces, limit)
    engine = create_engine(onnx, EngineSettings(name="onnxruntime-cpu", threads=threads))
    ages, males, readable = _predict(engine, labelled)
    if not readable:
        raise DataSetError(f"none of the {len(labelled)} pictures in {faces} can be decoded")
    races = labelled.races
    truth = Truth(
        ages=[labelled.ages[row] for row in readable],
        genders=[labelled.genders[row] for row in readable],
        races=None if races is None else [races[row] for row in readable],
    )
    result = _judge(ages, males, truth)
    unreadable = sorted(set(range(len(labelled))) - set(readable))
    report = {**_plain(group_figures(result.values)), "groups": _plain(groups_of(result, truth))}
    return {**report, "unreadable": unreadable}


def peer_input(image: ByteImage) -> FloatArray:
    """(3, 112, 112) float32 of one face crop, resized as Pillow does by default: bicubic with anti-aliasing."""
    small = Image.fromarray(image).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    return np.asarray(small, dtype=np.float32).transpose(2, 0, 1)


def _predict(engine: Engine, faces: LabelledFaces) -> tuple[FloatArray, FloatArray, list[int]]:
    """Ages (n,), probabilities of male (n,), and the rows that could be decoded."""
    ages, males, readable, first = [], [], [], 0
    for images in faces.images():
        rows, inputs = [], []
        for row, data in enumerate(images, start=first):
            try:
                inputs.append(peer_input(decode_compressed(data or b"")))
                rows.append(row)
            except ImageError:
                continue
        first += len(images)
        if inputs:
            age, gender = engine.run({"image": np.stack(inputs)})
            ages.append(age[:, 0])
            males.append(gender[:, 0])
            readable += rows
    return np.concatenate([*ages, []]), np.concatenate([*males, []]), readable


def _judge(ages: FloatArray, males: FloatArray, truth: Truth) -> PerFace:
    middles = bin_middles(AGE_EDGES)[[AGE_BINS.index(name) for name in truth.ages]]
    is_male = np.array([name == "Male" for name in truth.genders])
    return PerFace(
        values={
            "gender_accuracy": ((males > 0.5) == is_male).astype(np.float64),
            "age_mae": np.abs(ages - middles).astype(np.float64),
        }
    )


def _plain(value: Any) -> Any:
    """Structs as dictionaries, without the figures that the peer has no output for."""
    return _without_none(msgspec.to_builtins(value))


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return value
