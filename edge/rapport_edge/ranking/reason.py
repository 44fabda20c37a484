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
    best, known = cosines.argmax(axis=1), np.any(candidates, axis=1)
    largest = cosines[np.arange(len(best)), best].tolist()
    return [
        _nearest(events[with_content[column]], cosine) if has_content else None
        for column, cosine, has_content in zip(best.tolist(), largest, known.tolist(), strict=True)
    ]


def shared_values(events: Sequence[Event]) -> Counter[tuple[str, str]]:
    """How many events have a value of a field, by field and value."""
    return Counter((name, value) for event in events for name, values in event.fields.items() for value in values)


def reason_of(item: Item, nearest: Nearest | None, shared: Counter[tuple[str, str]], events: int) -> str:
    """A few words: the most similar event or, where content does not tell, the value of a field that most events have.

    Args:
        item: the candidate.
        nearest: see `nearest_events`.
        shared: of the history, see `shared_values`.
        events: of the history.
    """
    if nearest is not None and nearest.id == item.id:
        return "chosen before"
    if nearest is not None and nearest.cosine > 0.0:
        return f"resembles {nearest.title or nearest.id} ({nearest.cosine:.2f})"
    own = [(name, value) for name, values in item.fields.items() for value in values if (name, value) in shared]
    if not own:
        return ""
    name, value = min(own, key=lambda entry: (-shared[entry], entry))
    return f"{name} {value}, as {shared[name, value]} of {events} in the history"


def _nearest(event: Event, cosine: float) -> Nearest:
    return Nearest(id=event.id, title=event.title, cosine=cosine)


def _unit(vectors: FloatArray) -> FloatArray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)
