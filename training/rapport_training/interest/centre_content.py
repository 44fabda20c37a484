"""Embeddings of prepared items, read from a representation centre."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rapport_edge.representation import CentreError, CentreReader, EmbeddedReader, FrozenTable, open_centre
from rapport_edge.representation.addresses import without_password
from rapport_training.interest.batch import FIRST

_log = logging.getLogger(__name__)


class CentreContent:
    """A `ContentTable` over a centre: ids are resolved once, then rows are gathered from its memory-mapped table.

    It keeps the version that it began with, so that all epochs see the same vectors. What no table holds, items that
    are not published yet or a centre on a server, is read into memory. The centre itself is not asked again, and may be
    closed.

    Attributes:
        dimension: D, length of an embedding.
        encoder: digest of what made them.
        missing: items of which the centre knows nothing.
    """

    def __init__(self, item_ids: Sequence[str], centre: CentreReader) -> None:
        """Resolves the ids, and warns of items without content.

        Args:
            item_ids: by item index, as `PreparedLog.item_ids`; what stands at 0 and 1 is not looked up.
            centre: open for reading.
        """
        self.dimension, self.encoder = centre.dimension, centre.encoder
        self._table: FrozenTable | None = centre.table if isinstance(centre, EmbeddedReader) else None
        self._row = np.full(len(item_ids), -1, np.int64)
        if self._table is not None:
            self._row[FIRST:] = self._table.rows_of(item_ids[FIRST:])
        absent = FIRST + np.flatnonzero(self._row[FIRST:] < 0)
        vectors, found = centre.lookup([item_ids[index] for index in absent.tolist()])
        self._other = np.full(len(item_ids), -1, np.int64)
        self._other[absent[found]] = np.arange(int(found.sum()))
        self._vectors = vectors[found]
        self.missing = int((~found).sum())
        if self.missing:
            _log.warning(
                "%d of %d items have no content: the centre of encoder %s does not know them; embed the log's items",
                self.missing,
                len(item_ids) - FIRST,
                self.encoder[:12],
            )

    def rows(self, indexes: NDArray[np.int64]) -> NDArray[np.float32]:
        """(n, D) float32 embeddings of (n,) item indexes; zeros for items without content, and for indexes 0 and 1."""
        if self._table is None:
            vectors = np.zeros((len(indexes), self.dimension), np.float32)
        else:
            vectors = self._table.gather(self._row[indexes])
        if len(self._vectors):
            other = self._other[indexes]
            held = other >= 0
            vectors[held] = self._vectors[other[held]]
        return vectors


def content_of(item_ids: Sequence[str], where: Path | str) -> CentreContent:
    """The items' content of a centre, which is open no longer than that takes.

    Args:
        item_ids: see `CentreContent`.
        where: a folder, or a Redis server.

    Raises:
        CentreError: there is no centre, it is damaged, or knows none of the items.
    """
    with closing(open_centre(where)) as centre:
        content = CentreContent(item_ids, centre)
    if 0 < content.missing == len(item_ids) - FIRST:
        raise CentreError(
            f"the centre {without_password(str(where))} knows none of the {content.missing} items: it is of another "
            "catalogue, or was not filled; embed the log's items"
        )
    return content
