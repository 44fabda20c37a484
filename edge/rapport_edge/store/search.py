"""Nearest neighbours among the embeddings of one model: exact answers without an approximate index.

A scan over 8-bit codes reads a quarter of what float32 would. Codes are made of what a vector has beyond the mean of
all, because dual encoders give all faces much in common. Rounding moves each code product by an error of known spread,
so the scan tells which rows can be among the best; those are compared with their stored float16 vectors. A row is
overlooked with a probability below 1e-10. Adding and removing take effect at once, and what is removed is overwritten.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import simsimd
from numpy.typing import NDArray

from rapport_edge.errors import StoreError
from rapport_edge.faces import FloatArray
from rapport_edge.store.embeddings import unit_vector
from rapport_edge.store.records import Match

_Number = TypeVar("_Number", np.float16, np.float32, np.int8)

_FIRST_CAPACITY = 64
#: Rows that are converted to float32 at a time: 8 MB at 512 dimensions.
_BLOCK = 4096
#: Standard deviations of the rounding error that a bound allows for. The error of one value is uniform within one step,
#: which is strictly sub-Gaussian: P(beyond 7 deviations) < 2 exp(-7^2 / 2) = 5e-11.
_DEVIATIONS = np.float32(7.0 / 12.0**0.5)
#: What float32 sums may be off by.
_SLACK = np.float32(4e-6)
_TINY = np.float32(1e-30)


class EmbeddingIndex:
    """Unit vectors of one model by user id. Not thread-safe: its owner holds the lock.

    Memory: 3 bytes per value, so 155 MB for 100,000 users of 512 values; with room to grow up to twice that.

    Args:
        dim: values per embedding.
        digest: SHA-256 of the model that made them.
    """

    def __init__(self, dim: int, digest: str) -> None:
        self.dim = dim
        self.digest = digest
        self._ids: list[str] = []
        self._rows: dict[str, int] = {}
        self._mean = np.zeros(dim, dtype=np.float32)
        self._vectors = np.zeros((_FIRST_CAPACITY, dim), dtype=np.float16)
        self._codes = np.zeros((_FIRST_CAPACITY, dim), dtype=np.int8)
        self._steps = np.zeros(_FIRST_CAPACITY, dtype=np.float32)
        self._lengths = np.zeros(_FIRST_CAPACITY, dtype=np.float32)

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, user_id: object) -> bool:
        return user_id in self._rows

    def add(self, user_id: str, embedding: FloatArray) -> None:
        """Add a user, or replace their embedding.

        Args:
            user_id: whose.
            embedding: (dim,) finite; it is normalised here.

        Raises:
            StoreError: a vector of another size, or one without a direction.
        """
        vector = self._checked(embedding)
        row = self._rows.get(user_id)
        if row is None:
            self.extend([user_id], vector[None])
        else:
            self._vectors[row] = vector
            self._encode(row, row + 1)

    def extend(self, user_ids: Sequence[str], embeddings: FloatArray) -> None:
        """Add many users at once, none of whom is there yet.

        Args:
            user_ids: n of them.
            embeddings: (n, dim) of unit length, one per user.

        Raises:
            StoreError: vectors of another size.
        """
        if embeddings.shape != (len(user_ids), self.dim):
            raise StoreError(f"{len(user_ids)} embeddings of {self.dim} values were expected, not {embeddings.shape}")
        start, stop = len(self), len(self) + len(user_ids)
        self._rows.update(zip(user_ids, range(start, stop), strict=True))
        self._ids.extend(user_ids)
        grown = stop > len(self._codes)
        if grown:
            self._grow(stop)
        self._vectors[start:stop] = embeddings
        if grown:
            self._centre()
        else:
            self._encode(start, stop)

    def remove(self, user_id: str) -> bool:
        """Drop a user at once; False when they were not there. The last row takes the free place."""
        row = self._rows.pop(user_id, None)
        if row is None:
            return False
        last = len(self._ids) - 1
        for array in (self._vectors, self._codes, self._steps, self._lengths):
            array[row : row + 1] = array[last : last + 1]
            array[last] = 0
        moved = self._ids.pop()
        if row != last:
            self._ids[row] = moved
            self._rows[moved] = row
        return True

    def search(self, embedding: FloatArray, k: int) -> list[Match]:
        """The `k` users most similar to an embedding, best first, ties by id.

        Args:
            embedding: (dim,) finite, of the same model.
            k: how many; fewer come back where there are fewer users.

        Raises:
            StoreError: a vector of another size, or one without a direction.
        """
        query = self._checked(embedding)
        k = min(k, len(self))
        if k < 1:
            return []
        candidates = self._candidates(query, k)
        similarities = self._similarities(query, candidates)
        ranked = sorted(zip((-similarities).tolist(), (self._ids[row] for row in candidates), strict=True))
        return [Match(user_id=user_id, similarity=min(1.0, -negative)) for negative, user_id in ranked[:k]]

    def _candidates(self, query: FloatArray, k: int) -> NDArray[np.intp]:
        """Rows that may be among the `k` most similar: even their worst estimate is not worse than the k-th best one.

        The product with the mean is the same for all rows and left out.
        """
        n = len(self)
        codes, steps, lengths = _quantise(query[None])
        products = np.asarray(simsimd.cdist(codes, self._codes[:n], "dot"), dtype=np.float32).reshape(n)
        products *= self._steps[:n] * steps
        bounds = _DEVIATIONS * (self._steps[:n] * lengths + self._lengths[:n] * steps) + _SLACK
        threshold = np.partition(products - bounds, n - k)[n - k]
        return np.flatnonzero(products + bounds >= threshold)

    def _similarities(self, query: FloatArray, rows: NDArray[np.intp]) -> FloatArray:
        similarities = np.empty(len(rows), dtype=np.float32)
        for start in range(0, len(rows), _BLOCK):
            block = self._vectors[rows[start : start + _BLOCK]].astype(np.float32)
            similarities[start : start + _BLOCK] = block @ query
        return similarities

    def _grow(self, rows: int) -> None:
        """Make room for so many rows, at least doubling it."""
        capacity = max(rows, 2 * len(self._codes))
        self._vectors, self._codes = _with_rows(self._vectors, capacity), _with_rows(self._codes, capacity)
        self._steps, self._lengths = _with_rows(self._steps, capacity), _with_rows(self._lengths, capacity)

    def _centre(self) -> None:
        """Code everything anew around the mean of what is there now."""
        n = len(self)
        self._mean = self._vectors[:n].mean(axis=0, dtype=np.float32)
        for start in range(0, n, _BLOCK):
            self._encode(start, min(n, start + _BLOCK))

    def _encode(self, start: int, stop: int) -> None:
        rest = self._vectors[start:stop].astype(np.float32) - self._mean
        self._codes[start:stop], self._steps[start:stop], self._lengths[start:stop] = _quantise(rest)

    def _checked(self, embedding: FloatArray) -> FloatArray:
        vector = unit_vector(embedding)
        if vector.shape != (self.dim,):
            raise StoreError(
                f"model {self.digest[:12]} makes embeddings of {self.dim} values, this one has {vector.size}"
            )
        return vector


def _quantise(vectors: FloatArray) -> tuple[NDArray[np.int8], FloatArray, FloatArray]:
    """Codes (n, dim) int8, the step between them (n,), and an upper bound of the vectors' lengths (n,)."""
    steps = np.maximum(np.abs(vectors).max(axis=1) / np.float32(127), _TINY)
    codes = np.rint(vectors / steps[:, None]).astype(np.int8)
    lengths = np.linalg.norm(vectors, axis=1) + steps * np.float32(vectors.shape[1] ** 0.5 / 2)
    return codes, steps, lengths.astype(np.float32)


def _with_rows(array: NDArray[_Number], rows: int) -> NDArray[_Number]:
    """A copy with more rows, the new ones zero."""
    grown = np.zeros((rows, *array.shape[1:]), dtype=array.dtype)
    grown[: len(array)] = array
    return grown
