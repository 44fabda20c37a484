"""Demographic estimates as they come in from perception, checked before anything is believed."""

from __future__ import annotations

import math

import numpy as np

from rapport_edge.errors import RapportError
from rapport_edge.faces import AttributeEstimate, DemographicEstimate, FloatArray
from rapport_edge.profiles.evidence import IdentityView
from rapport_msgs.msg import DemographicEstimate as DemographicEstimateMsg
from rapport_ros.conversions import estimate_from_msg

TOLERANCE = 0.01


class EstimateError(RapportError):
    """A message that contradicts itself; the text says how, in few words, because it is a reason for a drop."""


def checked_estimate(message: DemographicEstimateMsg) -> DemographicEstimate | None:
    """The estimate in a message; None where the message only says that a face was seen.

    Raises:
        EstimateError: no face id, no distribution, an age that is no number, an embedding not of length one.
    """
    if not message.face_id:
        raise EstimateError("no face id")
    if not message.observations:
        return None
    if not message.model_digest:
        raise EstimateError("no model digest")
    estimate = estimate_from_msg(message)
    _check_unit(estimate.embedding)
    for attribute in estimate.attributes.values():
        _check_distribution(attribute)
    if estimate.age is not None:
        _check_distribution(estimate.age.distribution)
        if not all(map(math.isfinite, (estimate.age.mean, estimate.age.std, estimate.age.low, estimate.age.high))):
            raise EstimateError("age not finite")
    return estimate


def checked_identity(message: DemographicEstimateMsg) -> IdentityView | None:
    """The recogniser's view in a message; None where there was none.

    Raises:
        EstimateError: an embedding that is not of length one, or without digest.
    """
    embedding = np.asarray(message.identity_embedding, dtype=np.float32)
    if not embedding.size:
        return None
    _check_unit(embedding)
    if not message.identity_model_digest:
        raise EstimateError("no model digest")
    return IdentityView(embedding, message.identity_model_digest)


def _check_unit(embedding: FloatArray) -> None:
    if embedding.size and not abs(float(np.linalg.norm(embedding)) - 1.0) <= TOLERANCE:
        raise EstimateError("embedding not of length one")


def _check_distribution(attribute: AttributeEstimate) -> None:
    values = attribute.probabilities
    fits = bool(attribute.labels) and len(values) == len(attribute.labels) and attribute.name != ""
    if not fits or not (values >= 0.0).all() or not abs(float(values.sum()) - 1.0) <= TOLERANCE:
        raise EstimateError("no distribution")
