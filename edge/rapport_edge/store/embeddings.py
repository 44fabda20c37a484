"""Embeddings per person and model: unit vectors, averaged over encounters by weight.

A vector means something only under the model whose digest it carries, so no function here mixes two digests.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sqlite_utils import Database

from rapport_edge.errors import StoreError
from rapport_edge.faces import FloatArray
from rapport_edge.store.errors import StoreRowError
from rapport_edge.store.evidence import MAX_SETTLED_WEIGHT, SETTLED
from rapport_edge.store.records import EmbeddingRecord

#: How vectors lie in the file, whatever the machine.
_DTYPES: Mapping[str, np.dtype[Any]] = {"float16": np.dtype("<f2"), "float32": np.dtype("<f4")}


class View(NamedTuple):
    """A mean vector, (d,) float32 of unit length, the views behind it (more than 0), and when it was renewed."""

    vector: FloatArray
    weight: float
    updated: float


class EmbeddingKey(NamedTuple):
    """Whose vector, of which model, in which encounter."""

    user_id: str
    model_digest: str
    encounter: str


def unit_vector(values: ArrayLike) -> FloatArray:
    """One vector as (d,) float32 of unit length.

    Raises:
        StoreError: another shape, values that are not finite, or length zero.
    """
    vector = np.asarray(values, dtype=np.float32)
    norm = np.linalg.norm(vector).astype(np.float32) if vector.ndim == 1 else np.float32(np.nan)
    if not np.isfinite(norm) or norm < 1e-12:
        raise StoreError(f"an embedding must be one finite vector other than zero, not {vector.shape} of length {norm}")
    return np.asarray(vector / norm, dtype=np.float32)


def observe_embedding(db: Database, key: EmbeddingKey, view: View, dtype: str) -> None:
    """Record the mean vector of one encounter, inside the caller's transaction.

    Raises:
        StoreError: a weight out of range, or a vector whose size differs from the person's others of this model.
    """
    if not 0.0 < view.weight < float("inf"):
        raise StoreError(f"the weight of an embedding must be a finite number above 0, not {view.weight}")
    for row in _rows(db, key.user_id, key.model_digest):
        size = _view(row).vector.size
        if size != view.vector.size:
            raise StoreError(
                f"embeddings of model {key.model_digest[:12]} have {size} values, this one has {view.vector.size}"
            )
        if row["encounter"] not in (SETTLED, key.encounter):
            _settle(db, key.user_id, row, dtype)
            _delete(db, key._replace(encounter=row["encounter"]))
    _write(db, key, view, dtype)


def embedding_of(db: Database, user_id: str, model_digest: str) -> FloatArray | None:
    """A person's vector under one model, (d,) float32 of unit length, or None."""
    rows = _rows(db, user_id, model_digest)
    return _pool(rows).vector if rows else None


def embeddings_of(db: Database, user_id: str) -> tuple[EmbeddingRecord, ...]:
    """All vectors of a person, one per model."""
    rows = db.query("SELECT * FROM embeddings WHERE user_id = ? ORDER BY model_digest", [user_id])
    views = ((digest, _pool(group)) for digest, group in groupby(rows, lambda r: r["model_digest"]))
    return tuple(
        EmbeddingRecord(
            model_digest=digest, vector=tuple(view.vector.tolist()), weight=view.weight, updated=view.updated
        )
        for digest, view in views
    )


def embeddings_by_model(db: Database, model_digest: str) -> Iterator[tuple[str, FloatArray]]:
    """(user id, vector) of everybody who granted consent and has a vector under one model, all of one size.

    Raises:
        StoreRowError: vectors of two sizes, or a row that holds none.
    """
    rows = db.query(
        "SELECT e.* FROM embeddings e JOIN users u USING (user_id) "
        "WHERE e.model_digest = ? AND u.consent = 'granted' ORDER BY e.user_id",
        [model_digest],
    )
    first: tuple[EmbeddingKey, int] | None = None
    for user_id, group in groupby(rows, lambda row: row["user_id"]):
        parts = list(group)
        vector = _pool(parts).vector
        here = (_key(parts[0]), vector.size)
        first = first or here
        if here[1] != first[1]:
            (shorter, size), (longer, expected) = sorted((here, first), key=lambda item: item[1])
            raise _damaged(shorter, f"{size} values, that of user {longer.user_id!r} {expected}")
        yield user_id, vector


def absorb_embeddings(db: Database, kept: str, gone: str, dtype: str) -> None:
    """Fold all vectors of `gone` into the settled ones of `kept`, inside the caller's transaction."""
    for row in list(db.query("SELECT * FROM embeddings WHERE user_id = ?", [gone])):
        _settle(db, kept, row, dtype)
    db.execute("DELETE FROM embeddings WHERE user_id = ?", [gone])


def _rows(db: Database, user_id: str, model_digest: str) -> list[dict[str, Any]]:
    return list(db.query("SELECT * FROM embeddings WHERE user_id = ? AND model_digest = ?", [user_id, model_digest]))


def _settle(db: Database, user_id: str, row: Mapping[str, Any], dtype: str) -> None:
    """Fold one part into the settled part; of a model that changed its vectors' size the newer part stays."""
    digest = row["model_digest"]
    settled = [r for r in _rows(db, user_id, digest) if r["encounter"] == SETTLED]
    parts = [part for part in map(_view, [*settled, row]) if part.vector.size == _view(row).vector.size]
    pooled = _combine(parts)
    capped = pooled._replace(weight=min(pooled.weight, MAX_SETTLED_WEIGHT))
    _write(db, EmbeddingKey(user_id, digest, SETTLED), capped, dtype)


def _delete(db: Database, key: EmbeddingKey) -> None:
    db.execute("DELETE FROM embeddings WHERE user_id = ? AND model_digest = ? AND encounter = ?", list(key))


def _write(db: Database, key: EmbeddingKey, view: View, dtype: str) -> None:
    blob = view.vector.astype(_DTYPES[dtype]).tobytes()
    db.execute(
        "INSERT OR REPLACE INTO embeddings VALUES (?, ?, ?, ?, ?, ?, ?)",
        [*key, blob, dtype, view.weight, view.updated],
    )


def _view(row: Mapping[str, Any]) -> View:
    blob, dtype = row["vector"], _DTYPES[row["dtype"]]
    if not isinstance(blob, bytes) or not blob or len(blob) % dtype.itemsize:
        raise _damaged(_key(row), f"a blob of length {len(blob)}, not a vector of {row['dtype']}")
    return View(np.frombuffer(blob, dtype).astype(np.float32), row["weight"], row["updated"])


def _pool(rows: Iterable[Mapping[str, Any]]) -> View:
    """One person's parts under one model as one view; a part shorter than the others was cut off."""
    parts = [(_key(row), _view(row)) for row in rows]
    size = max(view.vector.size for _, view in parts)
    for key, view in parts:
        if view.vector.size != size:
            raise _damaged(key, f"{view.vector.size} values, where another encounter has {size}")
    return _combine([view for _, view in parts])


def _key(row: Mapping[str, Any]) -> EmbeddingKey:
    return EmbeddingKey(row["user_id"], row["model_digest"], row["encounter"])


def _damaged(key: EmbeddingKey, found: str) -> StoreRowError:
    return StoreRowError(
        f"the embedding of user {key.user_id!r}, model {key.model_digest[:12]}, encounter {key.encounter!r} has "
        f"{found}; forgetting this person removes it"
    )


def _combine(views: Iterable[View]) -> View:
    """Weighted mean direction, total weight, newest time; vectors that cancel out leave the heaviest one."""
    parts = list(views)
    if len(parts) == 1:
        return parts[0]
    total = np.sum([part.weight * part.vector for part in parts], axis=0)
    norm = float(np.linalg.norm(total))
    vector = total / norm if norm > 1e-6 else max(parts, key=lambda part: part.weight).vector
    return View(
        np.asarray(vector, dtype=np.float32), sum(part.weight for part in parts), max(part.updated for part in parts)
    )
