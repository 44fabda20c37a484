"""From probabilities to answers, "unknown" among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rapport_edge.bundle.manifest import CategoricalHead, Head, OrdinalHead
from rapport_edge.encoding.age import age_estimate
from rapport_edge.faces import AgeEstimate, AttributeEstimate, FloatArray


def attribute_estimate(head: CategoricalHead, probabilities: FloatArray) -> AttributeEstimate:
    """The most probable label, or "unknown" below the head's threshold.

    Args:
        head: its labels and threshold.
        probabilities: (k,), sums to 1, in the order of `head.labels`.
    """
    best = int(np.argmax(probabilities))
    confidence = float(probabilities[best])
    label = head.labels[best] if confidence >= head.unknown_below else None
    return AttributeEstimate(head.name, head.labels, np.asarray(probabilities, dtype=np.float32), label, confidence)


def estimate_all(
    heads: Sequence[Head], probabilities: Mapping[str, FloatArray]
) -> tuple[AgeEstimate | None, dict[str, AttributeEstimate]]:
    """Answers of all heads that have probabilities.

    Args:
        heads: of the bundle.
        probabilities: (k,) by the head's name; heads without an entry, such as those that a deployment does not allow,
            are left out.

    Returns:
        The age (from the ordinal head named "age", None without one), and the other attributes by name.
    """
    age: AgeEstimate | None = None
    attributes: dict[str, AttributeEstimate] = {}
    for head in heads:
        if head.name not in probabilities:
            continue
        if isinstance(head, CategoricalHead):
            attributes[head.name] = attribute_estimate(head, probabilities[head.name])
        elif head.name == "age":
            age = age_estimate(head, probabilities[head.name])
        else:
            attributes[head.name] = ordinal_estimate(head, probabilities[head.name])
    return age, attributes


def ordinal_estimate(head: OrdinalHead, probabilities: FloatArray) -> AttributeEstimate:
    """The distribution over the bins of any ordinal head, without the years."""
    return age_estimate(head, probabilities).distribution
