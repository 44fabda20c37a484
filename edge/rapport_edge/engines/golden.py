"""Golden inputs: a compiled plan is used only if it answers as ONNX Runtime does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rapport_edge.engines.base import Engine, TensorInfo
from rapport_edge.engines.feeds import Feeds, describe_shape
from rapport_edge.errors import ModelError

#: Largest difference allowed, as a share of an output's largest magnitude. Half precision keeps 11 bits, and errors add
#: up over layers: a right FP16 transformer differs by 0.1 to 1 %, one whose LayerNorm overflows by 100 % or by NaN.
TOLERANCE = 0.02


def made_up_feeds(inputs: Sequence[TensorInfo], model: str) -> list[dict[str, NDArray[Any]]]:
    """Golden inputs for a bundle that brings none: the same normal noise on every machine, batch of one.

    Raises:
        ModelError: if an input has an axis of any size besides the batch, or does not hold floating point numbers: what
            to put there is only known to who uses the model.
    """
    random = np.random.default_rng(0)
    feeds = {}
    for info in inputs:
        if None in info.shape[1:] or not info.dtype.startswith("float"):
            shape = describe_shape(info.shape)
            raise ModelError(f"{model}: input {info.name} {info.dtype} {shape} needs golden inputs to be handed in")
        feeds[info.name] = random.standard_normal([size or 1 for size in info.shape]).astype(info.dtype)
    return [feeds]


def disagreement(reference: Engine, candidate: Engine, golden: Sequence[Feeds]) -> str | None:
    """How the candidate's answers differ from the reference's; None when all agree within `TOLERANCE`.

    Raises:
        ModelError: if either engine refuses a golden input.
    """
    names = [info.name for info in reference.outputs]
    found = [info.name for info in candidate.outputs]
    if sorted(names) != sorted(found):
        return f"outputs are {', '.join(found)} instead of {', '.join(names)}"
    for feeds in golden:
        answers = dict(zip(found, candidate.run(feeds), strict=True))
        for name, expected in zip(names, reference.run(feeds), strict=True):
            if difference := _difference(expected, answers[name]):
                return f"output {name} {difference}"
    return None


def _difference(expected: NDArray[Any], answer: NDArray[Any]) -> str | None:
    if expected.shape != answer.shape:
        return f"has shape {answer.shape} instead of {expected.shape}"
    want, got = expected.astype(np.float64), answer.astype(np.float64)
    if not np.isfinite(got).all():
        return "is not finite"
    scale = float(np.abs(want).max(initial=0.0)) or 1.0
    worst = float(np.abs(want - got).max(initial=0.0)) / scale
    return None if worst <= TOLERANCE else f"differs by {worst:.1%} of its largest value (allowed {TOLERANCE:.0%})"
