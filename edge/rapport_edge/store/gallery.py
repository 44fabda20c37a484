"""The searchable embeddings of everybody who granted consent: one index per model, loaded on the first search."""

from __future__ import annotations

from itertools import islice

import numpy as np
from sqlite_utils import Database

from rapport_edge.faces import FloatArray
from rapport_edge.store.embeddings import embedding_of, embeddings_by_model
from rapport_edge.store.records import Match
from rapport_edge.store.search import EmbeddingIndex

_BATCH = 4096


class Gallery:
    """Indexes over one database. Not thread-safe: its owner holds the lock and keeps it in step with the rows."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._indexes: dict[str, EmbeddingIndex] = {}

    def search(self, embedding: FloatArray, digest: str, k: int) -> list[Match]:
        """The `k` most similar persons under one model; none where nobody has an embedding of it."""
        if digest not in self._indexes:
            index = self._load(digest)
            if index is None:
                return []
            self._indexes[digest] = index
        return self._indexes[digest].search(embedding, k)

    def refresh(self, user_id: str) -> None:
        """A person's embeddings changed: make the loaded indexes agree with the database."""
        for digest, index in self._indexes.items():
            vector = embedding_of(self._db, user_id, digest)
            if vector is None:
                index.remove(user_id)
            else:
                index.add(user_id, vector)

    def remove(self, user_id: str) -> None:
        """Nobody is recognised as this person any more."""
        for index in self._indexes.values():
            index.remove(user_id)

    def _load(self, digest: str) -> EmbeddingIndex | None:
        index: EmbeddingIndex | None = None
        rows = embeddings_by_model(self._db, digest)
        while batch := list(islice(rows, _BATCH)):
            vectors = np.stack([vector for _, vector in batch])
            if index is None:
                index = EmbeddingIndex(vectors.shape[1], digest)
            index.extend([user_id for user_id, _ in batch], vectors)
        return index
