"""The few calls of NVIDIA's cuda-python that the TensorRT engine needs, with errors as ModelError.

Not run by this project's tests, which have no GPU; written against cuda-python's documentation.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rapport_edge.errors import ModelError


def import_cudart() -> Any:
    """cuda-python's runtime module, under its present name or the one before version 12.6.

    Raises:
        ImportError: if cuda-python is not installed.
    """
    try:
        return importlib.import_module("cuda.bindings.runtime")
    except ImportError:
        return importlib.import_module("cuda.cudart")


def call(result: tuple[Any, ...]) -> Any:
    """The value of a call that returned (error, value...); None when it returned only an error.

    Raises:
        ModelError: if the error is not success.
    """
    error, *values = result
    if error.value:
        raise ModelError(f"CUDA: {error.name} ({error.value})")
    return values[0] if values else None


class DeviceBuffer:
    """Memory on the GPU that grows as needed and is freed with the object."""

    def __init__(self, cudart: Any) -> None:
        self._cudart = cudart
        self._address = 0
        self._size = 0

    def reserve(self, size: int) -> int:
        """Address of at least `size` bytes."""
        if size > self._size:
            self.free()
            self._address = int(call(self._cudart.cudaMalloc(size)))
            self._size = size
        return self._address

    def upload(self, array: NDArray[Any], stream: Any) -> int:
        """Copies a contiguous array to the GPU; returns its address there."""
        address = self.reserve(max(1, array.nbytes))
        kind = self._cudart.cudaMemcpyKind.cudaMemcpyHostToDevice
        call(self._cudart.cudaMemcpyAsync(address, array.ctypes.data, array.nbytes, kind, stream))
        return address

    def download(self, shape: tuple[int, ...], dtype: str, stream: Any) -> NDArray[Any]:
        """An array that is filled once the stream is synchronised."""
        array = np.empty(shape, dtype=dtype)
        kind = self._cudart.cudaMemcpyKind.cudaMemcpyDeviceToHost
        call(self._cudart.cudaMemcpyAsync(array.ctypes.data, self._address, array.nbytes, kind, stream))
        return array

    def free(self) -> None:
        """Gives the memory back; an error here means that the device is gone, and its memory with it."""
        if self._address:
            self._cudart.cudaFree(self._address)
            self._address = self._size = 0

    def __del__(self) -> None:
        self.free()
