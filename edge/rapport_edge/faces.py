"""The values that travel through the pipeline: one detection, one track, its quality, its estimates.

Coordinates are pixels of the original image: x to the right, y down, the centre of the top-left pixel at (0, 0).
"Right" and "left" of landmarks are the person's, so the right eye is the one nearer to the image's left edge in a
frontal view (REP 155, FacialLandmarks).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float32]
ByteImage: TypeAlias = NDArray[np.uint8]

#: Order of the five landmarks everywhere in Rapport.
LANDMARK_NAMES = ("right_eye", "left_eye", "nose", "right_mouth_corner", "left_mouth_corner")


@dataclass(frozen=True, slots=True)
class Detection:
    """One face found in one image.

    Attributes:
        box: (4,) float32, x_min, y_min, x_max, y_max in pixels; may reach beyond the image.
        landmarks: (5, 2) float32, in the order of `LANDMARK_NAMES`.
        score: the detector's confidence, 0 to 1.
    """

    box: FloatArray
    landmarks: FloatArray
    score: float


@dataclass(frozen=True, slots=True)
class Track:
    """A face followed over frames.

    Attributes:
        id: starts with a letter, short, unique for the life of the process (REP 155: unique, not persistent).
        detection: where the face is in this frame.
        measured: True if a detector saw it in this frame, False if the place was predicted.
        hits: detections that this track has received.
        misses: detector runs since the last hit.
    """

    id: str
    detection: Detection
    measured: bool
    hits: int
    misses: int


@dataclass(frozen=True, slots=True)
class FaceQuality:
    """How good a view of a face is.

    Attributes:
        size_px: the smaller side of the box, in pixels.
        sharpness: 0 (blurred) to 1.
        yaw, pitch, roll: degrees from a frontal, upright view, estimated from five landmarks.
        visible: share of the box that lies inside the image, 0 to 1.
        score: all of these as one weight, 0 (useless) to 1.
    """

    size_px: float
    sharpness: float
    yaw: float
    pitch: float
    roll: float
    visible: float
    score: float


@dataclass(frozen=True, slots=True)
class AttributeEstimate:
    """A distribution over the labels of one attribute.

    Attributes:
        name: such as "gender".
        labels: the label set of the bundle, in the bundle's order.
        probabilities: (len(labels),) float32, sums to 1.
        label: the most probable label, or None when its probability is below the bundle's threshold: "unknown".
        confidence: probability of the most probable label, 0 to 1.
    """

    name: str
    labels: tuple[str, ...]
    probabilities: FloatArray
    label: str | None
    confidence: float


@dataclass(frozen=True, slots=True)
class AgeEstimate:
    """A distribution over age bins and what follows from it.

    Attributes:
        distribution: over the bins; its `label` is None when the age is unknown.
        mean, std: years; the spread includes the width of the bins.
        low, high: years, the central 80 % interval.
    """

    distribution: AttributeEstimate
    mean: float
    std: float
    low: float
    high: float

    @property
    def known(self) -> bool:
        """False when the bundle's rule says that this estimate is too uncertain to be used."""
        return self.distribution.label is not None


@dataclass(frozen=True, slots=True)
class DemographicEstimate:
    """What is believed about one face after `observations` encodings.

    Attributes:
        age: None when the bundle has no age head or the deployment does not allow it.
        attributes: estimates other than age by name ("gender"), again only what bundle and deployment allow.
        embedding: (d,) float32, unit length, mean of the fused views; comparable only under the same `model_digest`.
        observations: number of encodings fused.
        model_digest: SHA-256 of the encoder's ONNX file.
    """

    age: AgeEstimate | None
    attributes: Mapping[str, AttributeEstimate]
    embedding: FloatArray
    observations: int
    model_digest: str
