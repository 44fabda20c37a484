"""The ids that a bundle keeps: those whose embeddings were trained, numbered anew without gaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from rapport_training.interest.batch import FIRST, PADDING, UNKNOWN
from rapport_training.interest.ctr.embedding import FieldEmbeddings


@dataclass(frozen=True)
class KeptIds:
    """Which ids of a field keep an embedding.

    Attributes:
        old: (n,) int64, old indexes in the order of the new ones; the first two are `PADDING` and `UNKNOWN`.
        new: (rows,) int64, the new index by the old one; `UNKNOWN` for ids that training did not have.
    """

    old: NDArray[np.int64]
    new: NDArray[np.int64]

    @classmethod
    def of(cls, values: NDArray[Any]) -> KeptIds:
        """Those whose row has an index of its own in column 0; see `PreparedLog.item_values`."""
        old = np.concatenate([[PADDING, UNKNOWN], FIRST + np.flatnonzero(values[FIRST:, 0] >= FIRST)])
        new = np.full(len(values), UNKNOWN, np.int64)
        new[old] = np.arange(len(old))
        return cls(old, new)

    def names(self, ids: Sequence[str]) -> list[str]:
        """Ids from index `FIRST` on, in the new order."""
        return [ids[index] for index in self.old[FIRST:]]

    def values(self, rows: NDArray[Any]) -> NDArray[np.int64]:
        """Rows of field values with the ids in column 0 numbered anew."""
        renamed = np.asarray(rows, dtype=np.int64).copy()
        renamed[..., 0] = self.new[renamed[..., 0]]
        return renamed


def keep_ids(fields: FieldEmbeddings, kept: KeptIds) -> None:
    """Cuts the first field's table to the ids that are kept, in place."""
    weight = fields.tables[0].weight.detach()[torch.from_numpy(kept.old)]
    fields.tables[0] = nn.Embedding.from_pretrained(weight, padding_idx=PADDING)
