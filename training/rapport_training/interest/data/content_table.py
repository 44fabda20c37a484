"""What gives the multi-modal embeddings of items to a batch."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class ContentTable(Protocol):
    """Embeddings by item index.

    Attributes:
        dimension: D, length of an embedding.
        encoder: digest of what made them.
    """

    dimension: int
    encoder: str

    def rows(self, indexes: NDArray[np.int64]) -> NDArray[np.float32]:
        """Embeddings of some items.

        Args:
            indexes: (n,) int64, item indexes as in `PreparedLog.item_ids`.

        Returns:
            (n, D) float32; zeros for items without content, and for indexes 0 and 1.
        """
        ...


class InMemoryContent:
    """A matrix with one row per item index.

    Args:
        matrix: (items, D) float32; row = item index. Rows 0 and 1 are taken for zero, whatever they hold.
        encoder: digest of what made it.
    """

    def __init__(self, matrix: NDArray[np.float32], encoder: str = "in memory") -> None:
        self._matrix = np.array(matrix, dtype=np.float32)
        self._matrix[:2] = 0
        self.dimension = int(self._matrix.shape[1])
        self.encoder = encoder

    def rows(self, indexes: NDArray[np.int64]) -> NDArray[np.float32]:
        """See `ContentTable.rows`."""
        return self._matrix[indexes]
