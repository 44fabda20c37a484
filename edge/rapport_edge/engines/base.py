"""What every inference engine offers: one ONNX file of a bundle, called with numpy arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """Name, shape (None for a dynamic axis) and numpy dtype name of one input or output."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str


class Engine(Protocol):
    """One loaded model. Thread-safe: `run` may be called from several threads."""

    @property
    def description(self) -> str:
        """What runs it and why it was chosen, for logs and diagnostics, e.g. "onnxruntime 1.31.1 CPU, 2 threads"."""
        ...

    @property
    def inputs(self) -> Sequence[TensorInfo]:
        """What the model takes."""
        ...

    @property
    def outputs(self) -> Sequence[TensorInfo]:
        """What the model gives, in the order of `run`."""
        ...

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Outputs in the order of `outputs`.

        Raises:
            ModelError: for a missing input, a shape or a dtype that the model does not take.
        """
        ...
