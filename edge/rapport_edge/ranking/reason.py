"""Why a candidate stands where it stands, in a few words: what of the history it resembles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from rapport_edge.faces import FloatArray
from rapport_edge.ranking.items import Event, Item, Nearest


def nearest_events(events: Sequence[Event], history: FloatArray, candidates: FloatArray) -> list[Nearest | None]:
    """For each candidate the event whose content is most like its own.

    Args:
        events: the history.
        history: (l, d) its embeddings; zero rows are items without content.
        candidates: (n, d) embeddings, likewise.
    """
    with_content = np.flatnonzero(history.any(axis=1))
    if not len(with_content):
        return [None] * len(candidates)
    cosines = _unit(candidates) @ _unit(history[with_content]).T
    best, known = cosines.argmax(axis=1), candidates.any(axis=1).tolist()
    largest = cosines[np.arange(len(best)), best].tolist()
    return [
        _nearest(events[with_content[column]], cosine) if has_content else None
        for column, cosine, has_content in zip(best.tolist(), largest, known, strict=True)
    ]


def reason_of(item: Item, nearest: Nearest | None, events: Sequence[Event]) -> str:
    """A few words: the most similar event or, where content does not tell, the value of a field that both share."""
    if nearest is not None and nearest.id == item.id:
        return "chosen before"
    if nearest is not None and nearest.cosine > 0.0:
        return f"resembles {nearest.title or nearest.id} ({nearest.cosine:.2f})"
    shared = Counter(
        (name, value)
        for event in events
        for name, values in event.fields.items()
        for value in values
        if value in item.fields.get(name, ())
    )
    if not shared:
        return ""
    (name, value), count = min(shared.items(), key=lambda entry: (-entry[1], entry[0]))
    return f"{name} {value}, as {count} of {len(events)} in the history"


def _nearest(event: Event, cosine: float) -> Nearest:
    return Nearest(id=event.id, title=event.title, cosine=cosine)


def _unit(vectors: FloatArray) -> FloatArray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)
