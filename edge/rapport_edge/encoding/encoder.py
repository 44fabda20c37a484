"""The face encoder: a batch of aligned faces to embeddings and attribute probabilities."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rapport_edge.alignment import CropTemplate
from rapport_edge.bundle.loader import Bundle
from rapport_edge.bundle.manifest import FaceEncoderManifest, Head, TensorSpec, task_of
from rapport_edge.encoding.preprocessing import to_input
from rapport_edge.encoding.zero_shot import zero_shot_probabilities
from rapport_edge.engines.base import Engine, TensorInfo
from rapport_edge.errors import BundleError, ModelError
from rapport_edge.faces import ByteImage, FloatArray


@dataclass(frozen=True, slots=True)
class Encoding:
    """What an encoder says about n faces.

    Attributes:
        embeddings: (n, d) float32, unit length.
        probabilities: (n, k) float32 by attribute; rows sum to 1. Empty for a recogniser.
    """

    embeddings: FloatArray
    probabilities: dict[str, FloatArray]


class FaceEncoder:
    """Runs a demographic-encoder or face-recognizer bundle.

    Args:
        bundle: verified by `load_bundle`.
        engine: has loaded `bundle.onnx_path`.

    Attributes:
        network_seconds: how long the network alone ran in the newest `encode`.

    Raises:
        BundleError: if the bundle has another task, or its manifest does not describe the graph that was loaded.
    """

    def __init__(self, bundle: Bundle, engine: Engine) -> None:
        manifest = bundle.manifest
        if not isinstance(manifest, FaceEncoderManifest):
            raise BundleError(f"bundle {bundle.path} is a {task_of(manifest)}, not a face encoder")
        model = manifest.models[0]
        check_tensors(bundle, model.inputs, engine.inputs)
        check_tensors(bundle, model.outputs, engine.outputs)
        self._bundle = bundle
        self._engine = engine
        self._input = model.inputs[0]
        self._dim = manifest.embedding_dim
        self.network_seconds = 0.0

    @property
    def crop(self) -> CropTemplate:
        """How faces must be aligned for it."""
        return self._bundle.crop

    @property
    def heads(self) -> tuple[Head, ...]:
        """The attributes that `encode` gives probabilities of."""
        return self._bundle.heads

    @property
    def embedding_dim(self) -> int:
        """Length of an embedding."""
        return self._dim

    @property
    def digest(self) -> str:
        """SHA-256 of the model; embeddings are comparable only under the same one."""
        return self._bundle.digest

    @property
    def description(self) -> str:
        """Bundle, model digest and engine, for logs and diagnostics."""
        manifest = self._bundle.manifest
        return f"{manifest.name} {manifest.version} ({self.digest[:12]}) on {self._engine.description}"

    def encode(self, crops: ByteImage) -> Encoding:
        """Embeddings and probabilities of a batch of aligned faces.

        Args:
            crops: (n, s, s, 3) uint8 RGB with s = `crop.size`; n may be 0.

        Raises:
            ValueError: if the crops have another shape or dtype.
            ModelError: if the engine fails or the embeddings are not finite.
        """
        size = self.crop.size
        if crops.ndim != 4 or crops.shape[1:] != (size, size, 3) or crops.dtype != np.uint8:
            raise ValueError(f"crops must be (n, {size}, {size}, 3) uint8 RGB, not {crops.dtype} {crops.shape}")
        embeddings = self._embed(crops)
        arrays = self._bundle.arrays
        probabilities = {
            head.name: zero_shot_probabilities(embeddings, arrays[head.array], head.calibration) for head in self.heads
        }
        return Encoding(embeddings, probabilities)

    def _embed(self, crops: ByteImage) -> FloatArray:
        self.network_seconds = 0.0
        if len(crops) == 0:
            return np.empty((0, self._dim), dtype=np.float32)
        tensor = to_input(crops, self._input)
        batch = self._input.shape[0]
        step = batch if isinstance(batch, int) else len(tensor)
        parts = [self._run(tensor[start : start + step], step) for start in range(0, len(tensor), step)]
        return unit_length(np.concatenate(parts))

    def _run(self, tensor: NDArray[Any], batch: int) -> FloatArray:
        """One engine call; a graph of fixed batch size gets the last faces padded with black ones."""
        count = len(tensor)
        if count < batch:
            tensor = np.concatenate([tensor, np.zeros((batch - count, *tensor.shape[1:]), dtype=tensor.dtype)])
        started = time.perf_counter()
        output = self._engine.run({self._input.name: tensor})[0]
        self.network_seconds += time.perf_counter() - started
        return np.asarray(output[:count], dtype=np.float32)


def unit_length(vectors: FloatArray) -> FloatArray:
    """Rows at unit length.

    Raises:
        ModelError: if one is not finite or zero.
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or (lengths < 1e-12).any():
        raise ModelError("the encoder's embeddings are not finite or have no direction; the model is damaged")
    return np.asarray(vectors / lengths, dtype=np.float32)


def check_tensors(bundle: Bundle, stated: Sequence[TensorSpec], found: Sequence[TensorInfo]) -> None:
    """The manifest's inputs or outputs are the graph's: names, types and fixed sizes.

    Raises:
        BundleError: naming what the manifest says and what the graph has.
    """
    for spec, info in zip(stated, found, strict=False):
        fixed = [(a, b) for a, b in zip(spec.shape, info.shape, strict=False) if isinstance(a, int) and b is not None]
        agrees = spec.name == info.name and spec.dtype == info.dtype and len(spec.shape) == len(info.shape)
        if not agrees or any(a != b for a, b in fixed):
            raise BundleError(
                f"bundle {bundle.path}: the manifest says {spec.name} {spec.dtype} {list(spec.shape)}, but the graph "
                f"has {info.name} {info.dtype} {list(info.shape)}"
            )
    if len(stated) != len(found):
        raise BundleError(
            f"bundle {bundle.path}: the manifest states {[spec.name for spec in stated]}, but the graph has "
            f"{[info.name for info in found]}"
        )
