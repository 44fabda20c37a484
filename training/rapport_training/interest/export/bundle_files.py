"""The files of an interest-ranker beside its graph: vocabularies, catalogue and embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from rapport_edge.bundle.manifest import CategoryField, ItemContent
from rapport_edge.errors import RapportError
from rapport_training.interest.batch import FIRST
from rapport_training.interest.data.content_table import ContentTable
from rapport_training.interest.data.log import BehaviourLog
from rapport_training.interest.data.prepared import PreparedLog
from rapport_training.interest.export.names import Named, named
from rapport_training.interest.export.vocabulary import KeptIds

CATALOGUE: Final = "catalogue.json"
CONTENT_IDS: Final = "content_ids.json"
CONTENT_VECTORS: Final = "content.npy"


@dataclass(frozen=True)
class RankerFiles:
    """What the manifest says of the tables, and the tables.

    Attributes:
        item_fields, user_fields: for the manifest.
        content: for the manifest; None for a model without content.
        files: contents by name.
    """

    item_fields: tuple[CategoryField, ...]
    user_fields: tuple[CategoryField, ...]
    content: ItemContent | None
    files: dict[str, Any]


def ranker_files(
    prepared: PreparedLog, log: BehaviourLog | None, items: KeptIds, users: KeptIds | None, content: ContentTable | None
) -> RankerFiles:
    """The tables of one export.

    Args:
        prepared: what the model was trained on.
        log: that it was prepared from, for titles and names of values; None: values are called by their index.
        items, users: ids that keep an embedding; users None where the user's index is no feature.
        content: of a model with content.
    """
    item_names = named(prepared.item_fields, prepared.item_values, prepared.item_ids, _table(log, "items"))
    user_names = named(prepared.user_fields, prepared.user_values, prepared.user_ids, _table(log, "users"))
    files: dict[str, Any] = {CATALOGUE: _catalogue(prepared, item_names)}
    item_fields = _fields(prepared, "item", item_names, items.names(prepared.item_ids), files)
    own = None if users is None else users.names(prepared.user_ids)
    user_fields = _fields(prepared, "user", user_names, own, files)
    part = None
    if content is not None:
        ids, vectors = content_arrays(prepared, content)
        files |= {CONTENT_IDS: msgspec.json.encode(ids), CONTENT_VECTORS: vectors}
        part = ItemContent(
            encoder=content.encoder, dimension=content.dimension, ids=CONTENT_IDS, vectors=CONTENT_VECTORS
        )
    return RankerFiles(item_fields, user_fields, part, files)


def content_arrays(prepared: PreparedLog, content: ContentTable) -> tuple[list[str], NDArray[np.float16]]:
    """Ids and (n, d) float16 embeddings of the items that have content.

    Raises:
        RapportError: naming the item whose embedding is not finite, or is too large for float16.
    """
    indexes = np.arange(FIRST, len(prepared.item_ids))
    vectors = content.rows(indexes)
    present = vectors.any(axis=1)
    ids = [prepared.item_ids[index] for index in indexes[present]]
    with np.errstate(over="ignore"):
        halves = vectors[present].astype(np.float16)
    bad = np.flatnonzero(~np.isfinite(halves).all(axis=1))
    if len(bad):
        raise RapportError(
            f"the embedding of item {ids[bad[0]]!r} is not finite, or above 65,504 and too large for a bundle "
            f"({len(bad)} such items)"
        )
    return ids, halves


def _table(log: BehaviourLog | None, name: str) -> Any:
    if log is None:
        return None
    columns = ["id", "title", "category", "attributes"] if name == "items" else ["id", "attributes"]
    return getattr(log, name)(columns)


def _catalogue(prepared: PreparedLog, names: Named) -> bytes:
    entries = [
        {"id": item, "title": title, "fields": row}
        for item, title, row in zip(prepared.item_ids[FIRST:], names.titles, names.rows, strict=True)
    ]
    return msgspec.json.encode(entries)


def _fields(
    prepared: PreparedLog, side: str, names: Named, ids: list[str] | None, files: dict[str, Any]
) -> tuple[CategoryField, ...]:
    """The manifest's fields of one side, whose vocabularies are added to `files`; without ids the first is left out."""
    stated = []
    for field in prepared.item_fields if side == "item" else prepared.user_fields:
        first = field.name == side
        if first and ids is None:
            continue
        name = f"{side}_{len(stated)}_vocabulary.json"
        files[name] = msgspec.json.encode(ids if first else names.vocabularies[field.name])
        stated.append(CategoryField(name=field.name, columns=field.columns, vocabulary=name))
    return tuple(stated)
