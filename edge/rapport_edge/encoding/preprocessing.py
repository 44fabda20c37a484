"""From aligned crops to the tensor that a graph takes, as the bundle's manifest states it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rapport_edge.bundle.manifest import TensorSpec
from rapport_edge.faces import ByteImage


def to_input(crops: ByteImage, spec: TensorSpec) -> NDArray[Any]:
    """The input tensor for a batch of crops.

    A uint8 input gets the bytes as they are (the graph normalises); a float input gets
    (pixel * scale - mean) / std per channel. Layout and colour order follow the manifest.

    Args:
        crops: (n, s, s, 3) uint8 RGB.
        spec: an input with an `image` part.

    Raises:
        ValueError: if the crops have another shape or dtype, or the input is not an image.
    """
    if crops.ndim != 4 or crops.shape[3] != 3 or crops.dtype != np.uint8:
        raise ValueError(f"crops must be (n, s, s, 3) uint8 RGB, not {crops.dtype} {crops.shape}")
    image = spec.image
    if image is None:
        raise ValueError(f"input {spec.name!r} is not an image")
    tensor: NDArray[Any] = crops[..., ::-1] if image.colour_order == "BGR" else crops
    if spec.dtype != "uint8":
        factor = np.float32(image.scale) / np.asarray(image.std, dtype=np.float32)
        offset = np.asarray(image.mean, dtype=np.float32) / np.asarray(image.std, dtype=np.float32)
        tensor = (tensor * factor - offset).astype(spec.dtype)
    if image.layout == "NCHW":
        tensor = tensor.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(tensor)
