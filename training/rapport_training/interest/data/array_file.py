"""A one-dimensional .npy file that grows: its length is not known before its last row is."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import DTypeLike, NDArray


class ArrayFile:
    """Writes a vector piece by piece; `np.load(path, mmap_mode="r")` reads it.

    numpy leaves room in a header for the first axis to grow, so that the final length fits where 0 stood.

    Args:
        path: the file; replaced.
        dtype: of the vector.
    """

    def __init__(self, path: Path, dtype: DTypeLike) -> None:
        self._dtype = np.dtype(dtype)
        self._file = path.open("wb")
        self.rows = 0
        self._write_header()
        self._start = self._file.tell()

    def append(self, values: NDArray[Any]) -> None:
        """Adds values at the end.

        Args:
            values: (n,), cast to the file's type.
        """
        self._file.write(np.ascontiguousarray(values, dtype=self._dtype).tobytes())
        self.rows += len(values)

    def close(self) -> None:
        """Writes the length."""
        self._file.seek(0)
        self._write_header()
        assert self._file.tell() == self._start, "numpy's header grew"
        self._file.close()

    def _write_header(self) -> None:
        described = {"descr": npy.dtype_to_descr(self._dtype), "fortran_order": False, "shape": (self.rows,)}
        npy.write_array_header_1_0(self._file, described)

    def __enter__(self) -> ArrayFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:
            self._file.close()


def map_array(path: Path) -> NDArray[Any]:
    """A .npy file, memory-mapped and read-only.

    Raises:
        OSError, ValueError: if it is absent or no whole .npy file.
    """
    with path.open("rb") as file:
        npy.read_magic(file)
        shape, _, dtype = npy.read_array_header_1_0(file)
    if 0 in shape:
        return np.empty(shape, dtype)
    # A plain array over the mapping: np.memmap's own indexing costs several times as much for small gathers.
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
