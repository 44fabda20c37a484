"""What a graph answers against what PyTorch answers, on the same inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rapport_edge.engines import EngineSettings, create_engine
from rapport_edge.errors import RapportError
from rapport_edge.faces import FloatArray

#: Largest distance between the two embeddings of one input, relative to the embedding's length.
PARITY = 1e-4


def check_parity(onnx_file: bytes, name: str, inputs: NDArray[Any], expected: FloatArray) -> float:
    """The largest relative distance over all inputs, in ONNX Runtime on the CPU.

    Args:
        onnx_file: one input, one output.
        name: of the input.
        inputs: (n, ...) what the graph takes.
        expected: (n, d) PyTorch's embeddings.

    Raises:
        RapportError: if it is above `PARITY`, or not a number.
    """
    engine = create_engine(onnx_file, EngineSettings(name="onnxruntime-cpu"))
    found = np.concatenate([engine.run({name: inputs[row : row + 1]})[0] for row in range(len(inputs))])
    worst = relative_distance(found, expected)
    if not worst <= PARITY:
        raise RapportError(f"the exported graph of {name} differs from PyTorch by {worst:.2g}, more than {PARITY:g}")
    return worst


def relative_distance(found: FloatArray, expected: FloatArray) -> float:
    """Largest length of a row's difference, divided by the length of the expected row."""
    lengths = np.linalg.norm(expected, axis=1)
    return float((np.linalg.norm(found.astype(np.float64) - expected, axis=1) / lengths).max())
