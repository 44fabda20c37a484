"""Values by index, in the order in which they first came."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rapport_training.interest.batch import FIRST, UNKNOWN


class Vocabulary:
    """Strings and their indexes; 0 and 1 are `PADDING` and `UNKNOWN`.

    Args:
        values: those that it knows from the start, without repetition.
    """

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._index = {value: FIRST + place for place, value in enumerate(values)}

    def __len__(self) -> int:
        """Indexes, the two of all vocabularies among them."""
        return FIRST + len(self._index)

    def __contains__(self, value: str) -> bool:
        return value in self._index

    @property
    def values(self) -> list[str]:
        """By index; "" for 0 and 1."""
        return [""] * FIRST + list(self._index)

    def add(self, values: pa.Array) -> NDArray[np.int32]:
        """Indexes of strings; new ones are added.

        Args:
            values: (n,) strings without nulls.

        Returns:
            (n,) int32.
        """
        return self._look_up(values, lambda value: self._index.setdefault(value, FIRST + len(self._index)))

    def find(self, values: pa.Array) -> NDArray[np.int32]:
        """Indexes of strings; `UNKNOWN` for those that it does not have."""
        return self._look_up(values, lambda value: self._index.get(value, UNKNOWN))

    @staticmethod
    def _look_up(values: pa.Array, index: Callable[[str], int]) -> NDArray[np.int32]:
        # Few of many rows differ: Python looks up the distinct ones only.
        encoded = values.dictionary_encode()
        if isinstance(encoded, pa.ChunkedArray):
            encoded = encoded.unify_dictionaries().combine_chunks()
        known = np.fromiter(map(index, encoded.dictionary.to_pylist()), np.int32, len(encoded.dictionary))
        return known[encoded.indices.to_numpy(zero_copy_only=False)]
