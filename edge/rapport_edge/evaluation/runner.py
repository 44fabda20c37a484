"""Measures a bundle on labelled faces through the robot's own code: decode, detect, align, encode, answer."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from rapport_edge.bundle import Bundle
from rapport_edge.detection import FaceDetector
from rapport_edge.encoding import FaceEncoder
from rapport_edge.evaluation.cropping import LabelledCrop, crop_labelled_face
from rapport_edge.evaluation.labelled_faces import DataSetError, LabelledFaces
from rapport_edge.evaluation.per_face import PerFace, Truth, judge
from rapport_edge.evaluation.report import Report, gaps_of, group_figures, groups_of
from rapport_edge.faces import FloatArray


@dataclass(slots=True)
class _Predictions:
    """Grows batch by batch; rows are counted over the whole file."""

    probabilities: dict[str, list[FloatArray]] = field(default_factory=dict)
    readable: list[int] = field(default_factory=list)
    unreadable: list[int] = field(default_factory=list)
    missed: int = 0

    def add(self, crops: list[LabelledCrop], encoder: FaceEncoder) -> None:
        first = len(self.readable) + len(self.unreadable)
        pictures = []
        for row, item in enumerate(crops, start=first):
            if item.crop is None:
                self.unreadable.append(row)
                continue
            self.readable.append(row)
            self.missed += item.missed
            pictures.append(item.crop)
        if pictures:
            for name, values in encoder.encode(np.stack(pictures)).probabilities.items():
                self.probabilities.setdefault(name, []).append(values)

    def stacked(self) -> dict[str, FloatArray]:
        return {name: np.concatenate(parts) for name, parts in self.probabilities.items()}


def evaluate(
    bundle: Bundle,
    encoder: FaceEncoder,
    detector: FaceDetector,
    faces: LabelledFaces,
    threads: int = 1,
    progress: Callable[[int], object] = lambda count: None,
) -> Report:
    """Measures a bundle.

    Args:
        bundle: what is measured.
        encoder: runs `bundle`.
        detector: finds the faces.
        faces: labels and pictures.
        threads: pictures decoded and searched for faces at the same time.
        progress: called with the number of faces done since the last call.

    Raises:
        BundleError: if the bundle has nothing to measure, or other labels than the faces.
        DataSetError: if the file turns out to be damaged, or not one picture can be decoded.
    """
    predictions = _Predictions()
    crop = partial(crop_labelled_face, detector=detector, template=encoder.crop)
    with ThreadPoolExecutor(threads) as pool:
        for images in faces.images():
            predictions.add(list(pool.map(crop, images)), encoder)
            progress(len(images))
    if not predictions.readable:
        raise DataSetError(f"none of the {len(faces)} pictures can be decoded")
    truth = _truth_of(faces, predictions.readable)
    result = judge(bundle.heads, predictions.stacked(), truth)
    return _report(bundle, encoder, detector, result, truth, predictions)


def _truth_of(faces: LabelledFaces, rows: list[int]) -> Truth:
    races = faces.races
    return Truth(
        ages=[faces.ages[row] for row in rows],
        genders=[faces.genders[row] for row in rows],
        races=None if races is None else [races[row] for row in rows],
    )


def _report(
    bundle: Bundle,
    encoder: FaceEncoder,
    detector: FaceDetector,
    result: PerFace,
    truth: Truth,
    predictions: _Predictions,
) -> Report:
    overall = group_figures(result.values)
    errors = [result.calibration[name] for name in ("gender", "age") if name in result.calibration]
    return Report(
        **{name: getattr(overall, name) for name in overall.__struct_fields__},
        missed=predictions.missed,
        unreadable=predictions.unreadable,
        ece=max(errors, default=0.0),
        gender_ece=result.calibration.get("gender"),
        age_ece=result.calibration.get("age"),
        unknown_rate=float(np.concatenate(list(result.unknown.values())).mean()),
        unknown_rates={name: float(mask.mean()) for name, mask in result.unknown.items()},
        age_interval_coverage=None if result.covered is None else float(result.covered.mean()),
        groups=groups_of(result, truth),
        gaps=gaps_of(result, truth),
        bundle=f"{bundle.manifest.name} {bundle.manifest.version}",
        digest=bundle.digest,
        manifest_digest=bundle.manifest_digest,
        detector=detector.description,
        encoder=encoder.description,
    )
