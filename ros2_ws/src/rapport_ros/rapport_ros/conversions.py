"""Between the values of rapport_edge and the messages of rapport_msgs; everything here is a pure function."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from rapport_edge.faces import (
    AgeEstimate,
    AttributeEstimate,
    ByteImage,
    DemographicEstimate,
    FaceQuality,
    FloatArray,
    Track,
)
from rapport_msgs.msg import Attribute, Face
from rapport_msgs.msg import DemographicEstimate as DemographicEstimateMsg

AGE = "age"


def stamp_to_seconds(stamp: Time) -> float:
    """Seconds since the epoch; exact to about 0.2 microseconds, which a float holds."""
    return float(stamp.sec + stamp.nanosec * 1e-9)


def seconds_to_stamp(seconds: float) -> Time:
    """The inverse of `stamp_to_seconds`; a time before 1970 or not finite becomes zero, ROS's "unknown"."""
    if not math.isfinite(seconds) or seconds < 0.0:
        return Time()
    whole = math.floor(seconds)
    nanoseconds = min(round((seconds - whole) * 1e9), 999_999_999)
    return Time(sec=whole, nanosec=nanoseconds)


def floats(values: FloatArray | Sequence[float]) -> array[float]:
    """As a float32[] field takes it without visiting each value."""
    return array("f", np.asarray(values, dtype=np.float32).tobytes())


def image_to_msg(image: ByteImage, header: Header) -> Image:
    """(h, w, 3) uint8 RGB as sensor_msgs/Image; array('B') is what rclpy copies in one piece."""
    height, width = image.shape[:2]
    message = Image(header=header, height=height, width=width, encoding="rgb8", step=3 * width)
    message.data = array("B", image.tobytes())
    return message


def attribute_to_msg(estimate: AttributeEstimate) -> Attribute:
    """An unknown attribute keeps its distribution and has no label."""
    return Attribute(
        name=estimate.name,
        labels=list(estimate.labels),
        probabilities=floats(estimate.probabilities),
        known=estimate.label is not None,
        label=estimate.label or "",
        confidence=float(estimate.confidence),
    )


def attribute_from_msg(message: Attribute) -> AttributeEstimate:
    """The inverse of `attribute_to_msg`."""
    return AttributeEstimate(
        name=message.name,
        labels=tuple(message.labels),
        probabilities=np.asarray(message.probabilities, dtype=np.float32),
        label=message.label if message.known else None,
        confidence=float(message.confidence),
    )


def estimate_to_msg(estimate: DemographicEstimate | None, face_id: str, header: Header) -> DemographicEstimateMsg:
    """The estimate of one face, embedding included; see `without_biometrics` for what dialogue may see.

    Without an estimate the message has no observations: it says that the face was seen, and nothing else.
    """
    message = DemographicEstimateMsg(header=header, face_id=face_id)
    if estimate is None:
        _set_age(message, None)
        return message
    message.observations = estimate.observations
    message.model_digest = estimate.model_digest
    message.embedding = floats(estimate.embedding)
    message.attributes = [attribute_to_msg(attribute) for attribute in estimate.attributes.values()]
    _set_age(message, estimate.age)
    return message


def add_identity(message: DemographicEstimateMsg, embedding: FloatArray, model_digest: str) -> None:
    """Puts a recogniser's view of the same face into the message."""
    message.identity_embedding = floats(embedding)
    message.identity_model_digest = model_digest


def _set_age(message: DemographicEstimateMsg, age: AgeEstimate | None) -> None:
    fields = ("mean", "std", "low", "high")
    for name in fields:
        setattr(message, f"age_{name}", math.nan if age is None else float(getattr(age, name)))
    if age is not None:
        message.age_known = age.known
        message.age = attribute_to_msg(age.distribution)


def estimate_from_msg(message: DemographicEstimateMsg) -> DemographicEstimate:
    """The inverse of `estimate_to_msg`."""
    return DemographicEstimate(
        age=_age_from_msg(message),
        attributes={attribute.name: attribute_from_msg(attribute) for attribute in message.attributes},
        embedding=np.asarray(message.embedding, dtype=np.float32),
        observations=int(message.observations),
        model_digest=message.model_digest,
    )


def _age_from_msg(message: DemographicEstimateMsg) -> AgeEstimate | None:
    if not message.age.labels:
        return None
    return AgeEstimate(
        distribution=attribute_from_msg(message.age),
        mean=float(message.age_mean),
        std=float(message.age_std),
        low=float(message.age_low),
        high=float(message.age_high),
    )


def without_biometrics(message: DemographicEstimateMsg) -> DemographicEstimateMsg:
    """A copy without the embeddings, as it may stand in a UserProfile."""
    kept = ("header", "face_id", "age_known", "age_mean", "age_std", "age_low", "age_high", "age", "attributes")
    copy = DemographicEstimateMsg(**{name: getattr(message, name) for name in kept})
    copy.observations, copy.model_digest = message.observations, message.model_digest
    return copy


def face_to_msg(track: Track, quality: FaceQuality | None, refusal: str | None) -> Face:
    """One tracked face; quality fields are NaN where it was not assessed."""
    x_min, y_min, x_max, y_max = (float(value) for value in track.detection.box)
    message = Face(id=track.id, score=float(track.detection.score), measured=track.measured)
    message.x_min, message.y_min, message.x_max, message.y_max = x_min, y_min, x_max, y_max
    message.landmarks = np.ascontiguousarray(track.detection.landmarks, dtype=np.float32).reshape(10)
    message.quality = math.nan if quality is None else float(quality.score)
    for name in ("sharpness", "yaw", "pitch", "roll", "visible"):
        setattr(message, name, math.nan if quality is None else float(getattr(quality, name)))
    message.refused = refusal or ""
    return message
