"""Golden inputs and outputs: what the exporter's model answered, to hold an engine against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rapport_edge.bundle.loader import ARRAY_ERRORS, Bundle
from rapport_edge.bundle.manifest import Model
from rapport_edge.engines.base import Engine
from rapport_edge.errors import BundleError


@dataclass(frozen=True, slots=True)
class GoldenCase:
    """Inputs and expected outputs by tensor name, and the largest absolute difference that counts as equal."""

    inputs: Mapping[str, NDArray[Any]]
    outputs: Mapping[str, NDArray[Any]]
    tolerance: float


def golden_case(bundle: Bundle, model: Model | None = None) -> GoldenCase | None:
    """The golden case of a model, None when it has none.

    Args:
        bundle: whose.
        model: one of its models; None for the first.

    Raises:
        BundleError: if the file is not an .npz archive of plain arrays, or lacks an input or output.
    """
    model = model or bundle.manifest.models[0]
    if model.golden is None:
        return None
    try:
        with np.load(bundle.path / model.golden.file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except ARRAY_ERRORS as error:
        raise BundleError(f"bundle {bundle.path}: {model.golden.file} is no archive of arrays: {error}") from error
    expected = {*(f"input:{spec.name}" for spec in model.inputs), *(f"output:{spec.name}" for spec in model.outputs)}
    if set(arrays) != expected:
        raise BundleError(
            f"bundle {bundle.path}: {model.golden.file} holds {sorted(arrays)}, but the model needs {sorted(expected)}"
        )
    return _case(model, arrays, model.golden.tolerance)


def check_golden(case: GoldenCase, engine: Engine) -> float:
    """Runs the golden inputs; the largest absolute difference over all outputs.

    Raises:
        BundleError: if an output has another shape or differs by more than the tolerance.
        ModelError: if the engine fails.
    """
    found = engine.run(case.inputs)
    worst = 0.0
    for info, actual in zip(engine.outputs, found, strict=True):
        wanted = case.outputs[info.name]
        if actual.shape != wanted.shape:
            raise BundleError(
                f"golden output {info.name} is {list(wanted.shape)}, the engine gives {list(actual.shape)}"
            )
        difference = np.abs(actual.astype(np.float64) - wanted.astype(np.float64)).max(initial=0.0)
        if not difference <= case.tolerance:  # also refuses NaN
            raise BundleError(
                f"golden output {info.name} differs by {difference:.3g}, more than {case.tolerance:g}, on "
                f"{engine.description}"
            )
        worst = max(worst, float(difference))
    return worst


def _case(model: Model, arrays: Mapping[str, NDArray[Any]], tolerance: float) -> GoldenCase:
    return GoldenCase(
        inputs={spec.name: arrays[f"input:{spec.name}"] for spec in model.inputs},
        outputs={spec.name: arrays[f"output:{spec.name}"] for spec in model.outputs},
        tolerance=tolerance,
    )
