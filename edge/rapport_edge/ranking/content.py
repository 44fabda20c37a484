"""Where the embeddings of items come from: given with an item, a representation centre, or the bundle's own table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from rapport_edge.bundle.manifest import ItemContent
from rapport_edge.faces import FloatArray
from rapport_edge.ranking.items import Item, RankingError


class FoundRows(Protocol):
    """Embeddings of the items that were asked for."""

    @property
    def vectors(self) -> FloatArray:
        """(n, d) float32."""
        ...

    @property
    def found(self) -> NDArray[np.bool_]:
        """(n,) False where the source does not know the item."""
        ...


class ContentSource(Protocol):
    """A table of embeddings by item id, such as a representation centre."""

    @property
    def encoder(self) -> str:
        """Digest of the encoder that made it."""
        ...

    @property
    def dimension(self) -> int:
        """Length d of an embedding."""
        ...

    def lookup(self, ids: Sequence[str]) -> FoundRows:
        """The embeddings of some items."""
        ...


class Rows(NamedTuple):
    """See `FoundRows`."""

    vectors: FloatArray
    found: NDArray[np.bool_]


class BundledContent:
    """The table that a bundle carries.

    Args:
        content: the manifest's part about it.
        ids: of the items.
        vectors: (ids, d) float16.

    Raises:
        RankingError: if ids and vectors differ in number, an id is repeated, or a vector is not finite.
    """

    def __init__(self, content: ItemContent, ids: Sequence[str], vectors: NDArray[Any]) -> None:
        if len(ids) != len(vectors):
            raise RankingError(f"{content.ids} has {len(ids)} ids, but {content.vectors} {len(vectors)} rows")
        self._row = {item: row for row, item in enumerate(ids)}
        if len(self._row) != len(ids):
            raise RankingError(f"{content.ids} names an item twice")
        check_finite(ids, vectors, content.vectors)
        self.encoder, self.dimension, self._vectors = content.encoder, content.dimension, vectors

    def lookup(self, ids: Sequence[str]) -> Rows:
        """As `ContentSource.lookup`; zeros where the table has no row."""
        rows = np.fromiter((self._row.get(item, -1) for item in ids), np.int64, len(ids))
        found = rows >= 0
        vectors = np.zeros((len(ids), self.dimension), dtype=np.float32)
        vectors[found] = self._vectors[rows[found]]
        return Rows(vectors, found)


class ContentLookup:
    """Embeddings of items out of several sources.

    Args:
        content: what the ranker was trained with.
        sources: the first that knows an item answers.

    Raises:
        RankingError: if a source is of another encoder or dimension.
    """

    def __init__(self, content: ItemContent, sources: Sequence[ContentSource]) -> None:
        for source in sources:
            if source.encoder != content.encoder:
                raise RankingError(
                    f"the table of embeddings was made by the encoder {source.encoder}, but the ranker was trained "
                    f"with {content.encoder}; embed the items again with that one, or name another centre"
                )
            if source.dimension != content.dimension:
                raise RankingError(
                    f"the table holds embeddings of {source.dimension} numbers, the ranker takes {content.dimension}"
                )
        self._dimension, self._sources = content.dimension, tuple(sources)

    def vectors(self, items: Sequence[Item]) -> FloatArray:
        """(n, d) float32; zeros for items that nobody knows, as in training.

        Raises:
            RankingError: naming the item whose embedding is not finite, or has another length.
        """
        vectors = np.zeros((len(items), self._dimension), dtype=np.float32)
        missing = []
        for row, item in enumerate(items):
            if item.content is None:
                missing.append(row)
            else:
                vectors[row] = self._given(item)
        for source in self._sources:
            if not missing:
                break
            rows = np.asarray(missing)
            answer = source.lookup([items[row].id for row in missing])
            found = np.asarray(answer.found)
            vectors[rows[found]] = answer.vectors[found]
            missing = [int(row) for row in rows[~found]]
        check_finite([item.id for item in items], vectors, "the table of embeddings")
        return vectors

    def _given(self, item: Item) -> FloatArray:
        vector = np.asarray(item.content, dtype=np.float32)
        if vector.shape != (self._dimension,):
            raise RankingError(
                f"the embedding given with item {item.id!r} has {vector.size} numbers; the ranker takes "
                f"{self._dimension}"
            )
        return vector


def check_finite(ids: Sequence[str], vectors: NDArray[Any], where: str) -> None:
    """Raises RankingError naming the first item whose embedding has a NaN or an infinity."""
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        raise RankingError(
            f"{where}: the embedding of item {ids[bad[0]]!r} is not finite ({len(bad)} such items); embed it again"
        )
