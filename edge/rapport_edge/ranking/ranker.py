"""The interest ranker: one person's history and any candidates to an order with scores."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from rapport_edge.bundle.loader import Bundle
from rapport_edge.encoding.encoder import check_tensors
from rapport_edge.engines.base import Engine
from rapport_edge.errors import ModelError
from rapport_edge.faces import FloatArray
from rapport_edge.ranking.content import ContentLookup, ContentSource
from rapport_edge.ranking.history import SECONDS_PER_DAY, check_seconds, ordered
from rapport_edge.ranking.items import Event, Item, Nearest, RankedItem, RankingError
from rapport_edge.ranking.reason import nearest_events, reason_of, shared_values
from rapport_edge.ranking.rows import ItemRows
from rapport_edge.ranking.tables import RankerTables, ranker_manifest
from rapport_edge.ranking.vocabulary import FIRST, row_of

#: Candidates of one run of the network. What depends on the person's history alone is computed in each run; a large
#: catalogue needs no more memory than a small one.
AT_ONCE: Final = 256
#: Inputs with a row per candidate.
OF_CANDIDATES: Final = ("items", "item_content")
#: The user field that holds the id itself, where a model has it.
USER: Final = "user"

UserValues = Mapping[str, Sequence[str]]


class InterestRanker:
    """Runs an interest-ranker bundle. Not for several threads at once.

    Args:
        bundle: verified by `load_bundle`.
        engine: has loaded `bundle.onnx_path`.
        tables: of the bundle.
        sources: asked for embeddings before the bundle's own table, such as a representation centre.

    Attributes:
        network_seconds: how long the network alone ran in the newest ranking.

    Raises:
        BundleError: if the bundle has another task, or its manifest does not describe the graph that was loaded.
        RankingError: if a source holds embeddings of another encoder.
    """

    def __init__(
        self, bundle: Bundle, engine: Engine, tables: RankerTables, sources: Sequence[ContentSource] = ()
    ) -> None:
        manifest = ranker_manifest(bundle)
        model = manifest.models[0]
        check_tensors(bundle, model.inputs, engine.inputs)
        check_tensors(bundle, model.outputs, engine.outputs)
        self._bundle, self._engine, self._tables, self._length = bundle, engine, tables, manifest.history_length
        self._shapes = {tensor.name: tensor.shape for tensor in model.inputs}
        self._content: ContentLookup | None = None
        if manifest.content is not None:
            own = () if tables.content is None else (tables.content,)
            self._content = ContentLookup(manifest.content, (*sources, *own))
        elif sources:
            raise RankingError(f"the ranker of {bundle.path} knows no content, so a centre is of no use to it")
        self._rows = ItemRows(tables.items, tables.catalogue)
        self.network_seconds = 0.0

    @property
    def description(self) -> str:
        """Bundle, model digest and engine, for logs and diagnostics."""
        manifest = self._bundle.manifest
        return f"{manifest.name} {manifest.version} ({self._bundle.digest[:12]}) on {self._engine.description}"

    @property
    def catalogue(self) -> Mapping[str, Item]:
        """What can be suggested, by id."""
        return self._tables.catalogue

    @property
    def item_fields(self) -> tuple[str, ...]:
        """Fields of an item that can be given, besides the item itself."""
        return tuple(field.name for field in self._tables.items[1:])

    @property
    def user_fields(self) -> tuple[str, ...]:
        """Fields of a person that can be given."""
        return tuple(field.name for field in self._tables.users)

    def rank(
        self,
        history: Sequence[Event],
        candidates: Sequence[Item] | None = None,
        *,
        user: UserValues | None = None,
        now: float | None = None,
        limit: int | None = None,
    ) -> list[RankedItem]:
        """Candidates by predicted interest, best first; equal scores keep the order of the candidates.

        Args:
            history: what the person liked, oldest first or with times; see `ordered`. May be empty.
            candidates: None for the whole catalogue; an id that comes again counts once.
            user: values by user field, such as {"gender": ("Female",)}; nothing for a person whom nobody knows.
            now: seconds since 1970, from which events have their age; None for the clock's time.
            limit: at most so many; None for all.

        Raises:
            RankingError: naming the item whose embedding cannot be used, or what is wrong with the times.
            ModelError: if the engine fails or a score is not finite.
        """
        if now is not None:
            check_seconds(now, "the ranking is to be as of")
        events = ordered([self._completed(event) for event in history], self._length)
        items = list(self.catalogue.values()) if candidates is None else self._once(candidates)
        if not items:
            return []
        feeds = self._features(events, items, user or {}, time.time() if now is None else now)
        scores = self._scores(feeds, items)
        order = np.argsort(-scores, kind="stable")[:limit]
        return self._ranked(events, items, scores, feeds, order)

    def strangers(self, history: Sequence[Event]) -> list[str]:
        """Ids of the events that say nothing: the catalogue does not have them, and nobody knows fields or content."""
        bare = [event for event in history if event.id not in self.catalogue and not event.fields]
        if not bare or self._content is None:
            return [event.id for event in bare]
        unknown = np.linalg.norm(self._content.vectors(bare), axis=1) == 0
        return [bare[row].id for row in np.flatnonzero(unknown)]

    def _once(self, candidates: Sequence[Item]) -> list[Item]:
        once: dict[str, Item] = {}
        for item in candidates:
            once.setdefault(item.id, self._completed(item))
        return list(once.values())

    def _completed(self, item: Any) -> Any:
        """The same item or event with what the catalogue knows and the caller left out."""
        entry = self.catalogue.get(item.id)
        if entry is None:
            return item
        if type(item) is Item and item.content is None and not (item.title or item.fields):
            return entry
        fields = {**entry.fields, **item.fields} if item.fields else entry.fields
        return msgspec.structs.replace(item, title=item.title or entry.title, fields=fields)

    def _features(
        self, events: Sequence[Event], items: Sequence[Item], user: UserValues, now: float
    ) -> dict[str, NDArray[Any]]:
        values: dict[str, NDArray[Any]] = {
            "items": self._rows.of(items),
            "history": self._padded(self._rows.of(events)),
        }
        if "user" in self._shapes:
            # Whoever has no id is somebody unknown, not nobody.
            values["user"] = np.asarray(row_of(self._tables.users, {USER: ("",), **user}), dtype=np.int64)
        if "age" in self._shapes:
            values["age"] = self._padded(_ages(events, now))
        if self._content is not None:
            values["item_content"] = self._content.vectors(items)
            values["history_content"] = self._padded(self._content.vectors(events))
        return values

    def _padded(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Zeros at the end, up to the graph's fixed length, or to one row, because no graph takes none."""
        length = self._shapes["history"][0]
        missing = max(length if isinstance(length, int) else 1, len(rows)) - len(rows)
        return np.concatenate([rows, np.zeros((missing, *rows.shape[1:]), dtype=rows.dtype)])

    def _scores(self, feeds: Mapping[str, NDArray[Any]], items: Sequence[Item]) -> FloatArray:
        started = time.perf_counter()
        parts = [self._engine.run(part)[0] for part in _parts(feeds, len(items))]
        self.network_seconds = time.perf_counter() - started
        scores = np.concatenate(parts).astype(np.float32, copy=False)
        if scores.shape != (len(items),):
            raise ModelError(f"the ranker gives {list(scores.shape)} scores for {len(items)} items; it is damaged")
        bad = np.flatnonzero(~np.isfinite(scores))
        if len(bad):
            raise ModelError(f"the score of item {items[bad[0]].id!r} is not finite; the model is damaged")
        return scores

    def _nearest(
        self, events: Sequence[Event], feeds: Mapping[str, NDArray[Any]], order: NDArray[np.int64]
    ) -> list[Nearest | None]:
        if self._content is None or not events:
            return [None] * len(order)
        return nearest_events(events, feeds["history_content"][: len(events)], feeds["item_content"][order])

    def _ranked(
        self,
        events: Sequence[Event],
        items: Sequence[Item],
        scores: FloatArray,
        feeds: Mapping[str, NDArray[Any]],
        order: NDArray[np.int64],
    ) -> list[RankedItem]:
        """The items at their places, with reasons: of those that are wanted alone."""
        nearest, shared = self._nearest(events, feeds, order), shared_values(events)
        known = (feeds["items"][order, 0] >= FIRST).tolist()
        best = zip(order.tolist(), scores[order].tolist(), known, nearest, strict=True)
        return [
            RankedItem(
                rank=rank,
                id=items[row].id,
                title=items[row].title,
                score=score,
                known=trained,
                nearest=near,
                reason=reason_of(items[row], near, shared, len(events)),
            )
            for rank, (row, score, trained, near) in enumerate(best, start=1)
        ]


def _parts(feeds: Mapping[str, NDArray[Any]], count: int) -> Iterator[dict[str, NDArray[Any]]]:
    """The same inputs with at most `AT_ONCE` candidates each."""
    bounds = np.linspace(0, count, -(-count // AT_ONCE) + 1).astype(int)
    for start, end in pairwise(bounds):
        yield {**feeds, **{name: feeds[name][start:end] for name in OF_CANDIDATES if name in feeds}}


def _ages(events: Sequence[Event], now: float) -> FloatArray:
    """(l,) float32 days since each event.

    Raises:
        RankingError: if the events have no times.
    """
    if any(event.time is None for event in events):
        raise RankingError("this ranker weighs events by their age; give each event of the history its time")
    return np.asarray([max(0.0, now - (event.time or 0.0)) / SECONDS_PER_DAY for event in events], dtype=np.float32)
