"""What goes into an engine: checks with names in their messages, and inputs made up to warm it up."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rapport_edge.engines.base import Engine, TensorInfo
from rapport_edge.errors import ModelError

Feeds = Mapping[str, NDArray[Any]]


def check_feeds(inputs: Sequence[TensorInfo], feeds: Feeds, model: str) -> None:
    """Compares names, dtypes and shapes with what the model declares.

    Raises:
        ModelError: for the first difference, naming the model and the input.
    """
    expected = {info.name for info in inputs}
    if missing := sorted(expected - feeds.keys()):
        raise ModelError(
            f"{model}: missing input {', '.join(missing)}; given were {', '.join(sorted(feeds)) or 'none'}"
        )
    if unknown := sorted(feeds.keys() - expected):
        raise ModelError(f"{model}: unknown input {', '.join(unknown)}; it takes {', '.join(sorted(expected))}")
    for info in inputs:
        _check_feed(info, feeds[info.name], model)


def _check_feed(info: TensorInfo, value: NDArray[Any], model: str) -> None:
    if not isinstance(value, np.ndarray):
        raise ModelError(f"{model}: input {info.name} must be a numpy array, not {type(value).__name__}")
    if value.dtype.name != info.dtype:
        raise ModelError(f"{model}: input {info.name} must be {info.dtype}, not {value.dtype.name}")
    fits = value.ndim == len(info.shape) and all(
        size in (None, given) for size, given in zip(info.shape, value.shape, strict=True)
    )
    if not fits:
        raise ModelError(f"{model}: input {info.name} must have shape {describe_shape(info.shape)}, not {value.shape}")


def describe_shape(shape: Sequence[int | None]) -> str:
    """Like "(?, 3, 112, 112)", with a question mark for an axis of any size."""
    return f"({', '.join('?' if size is None else str(size) for size in shape)})"


def check_shapes(inputs: Sequence[TensorInfo], shapes: Mapping[str, Sequence[int]], model: str) -> None:
    """Refuses shapes for inputs that the model does not have."""
    if unknown := sorted(shapes.keys() - {info.name for info in inputs}):
        raise ModelError(f"{model}: shapes given for unknown input {', '.join(unknown)}")


def warm_up(engine: Engine, shapes: Mapping[str, Sequence[int]] | None = None, runs: int = 2) -> float:
    """Runs the model on zeros, so that the first real face does not wait for allocations and kernel selection.

    Args:
        engine: the loaded model.
        shapes: for inputs with axes of any size; without it such an axis gets size 1.
        runs: how often; the second run already shows the lasting speed.

    Returns:
        Seconds of the last run: what one call costs from now on.

    Raises:
        ModelError: if the model does not take the shapes.
    """
    shapes = shapes or {}
    check_shapes(engine.inputs, shapes, engine.description)
    feeds = {info.name: _zeros(info, shapes.get(info.name)) for info in engine.inputs}
    seconds = 0.0
    for _ in range(max(1, runs)):
        start = time.perf_counter()
        engine.run(feeds)
        seconds = time.perf_counter() - start
    return seconds


def _zeros(info: TensorInfo, shape: Sequence[int] | None) -> NDArray[Any]:
    return np.zeros(shape or [size or 1 for size in info.shape], dtype=info.dtype)
