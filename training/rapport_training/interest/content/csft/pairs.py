"""User interest pairs <q, i> from a behaviour log (Section 3.3, Q1).

A pair is the picture that a user searched with and the item that followed from it. Most logs have no image queries. For
an event without one, the picture of the item that the same user liked just before stands for the query: it, too, is a
picture that says what this user was interested in at that moment, though less directly than a search.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rapport_edge.errors import SettingsError
from rapport_training.interest.content.catalogue import Catalogue
from rapport_training.interest.content.csft.bounds import Bounds
from rapport_training.interest.content.pictures import Pictures, decode_all
from rapport_training.interest.content.recipe import Csft, Signal
from rapport_training.interest.data.log import BehaviourLog

#: Kinds of events that are purchases.
PURCHASES: Final = ("purchase", "buy", "order")
#: Kinds whose label is a judgement: a good one stands for a purchase, any one for a click.
JUDGEMENTS: Final = ("rating", "review")

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Pairs:
    """Interest pairs, in the order of their times.

    Attributes:
        query: (m,) int64; below the number of items, an item's row, whose picture is the query; from there on a row of
            `searched`.
        item: (m,) int64, rows of items.
        searched: pictures that users searched with.
        counts: pairs, and events left out, by reason.
    """

    query: Rows
    item: Rows
    searched: Pictures
    counts: dict[str, int]

    def __len__(self) -> int:
        return len(self.item)


@dataclass(frozen=True)
class _Events:
    """Positive events: user, item (rows, -1 for unknown ones), time or order, and query (-1 for none)."""

    user: Rows
    item: Rows
    key: Rows
    query: Rows
    images: list[bytes]


def interest_pairs(log: BehaviourLog, catalogue: Catalogue, settings: Csft, bounds: Bounds) -> Pairs:
    """The pairs of a log.

    Args:
        log: in the order of its events.
        catalogue: the log's items.
        settings: which signal, and what counts as liking.
        bounds: an event outside makes no pair and stands in none.

    Raises:
        SettingsError: if the log has no such signal, or no pair is left.
    """
    signal = _resolved(log, settings.signal)
    events, counts = _cut(_positive_events(log, signal, settings), bounds)
    query, item = _queries_and_items(events)
    counts["pairs before items are looked at"] = len(item)
    counts["pairs with an image query"] = int((query >= log.item_count).sum())
    size = catalogue.pictures.pixels.shape[1]
    searched = decode_all(events.images, len(events.images), size)
    seen = np.concatenate([catalogue.pictures.whole, searched.whole])[query] if len(query) else np.zeros(0, bool)
    complete = catalogue.complete[item]
    counts["pairs whose query has no picture"] = int((~seen).sum())
    counts["pairs whose item lacks picture or title"] = int((~complete).sum())
    query, item = query[seen & complete], item[seen & complete]
    counts["pairs"] = len(item)
    if not len(item):
        raise SettingsError(f"the log {log.name} gives no interest pairs: {counts}")
    return Pairs(query, item, searched, counts)


def _resolved(log: BehaviourLog, signal: Signal) -> str:
    """One of purchase and click, if the log has it."""
    kinds = {kind for batch in log.event_batches(["kind"]) for kind in pc.unique(batch.column("kind")).to_pylist()}
    strong = bool(kinds & {*PURCHASES, *JUDGEMENTS})
    if signal == "purchase" and not strong:
        raise SettingsError(
            f"the log {log.name} has no purchases, ratings or reviews, only {', '.join(sorted(map(str, kinds)))}; "
            "take the signal click"
        )
    return ("purchase" if strong else "click") if signal == "strongest" else signal


def _positive_events(log: BehaviourLog, signal: str, settings: Csft) -> _Events:
    """Streams the log; what stays in memory is four numbers for each positive event."""
    key = "time" if log.record.timed else "order"
    users = log.users(["id"]).column("id").combine_chunks()
    items = log.items(["id"]).column("id").combine_chunks()
    parts: list[tuple[Rows, ...]] = []
    known: dict[bytes, int] = {}
    images: list[bytes] = []
    for batch in log.event_batches(["user", "item", key, "kind", "label", "query_image"]):
        chosen = batch.filter(_is_positive(batch, signal, settings.liked))
        query = np.full(chosen.num_rows, -1, np.int64)
        column = chosen.column("query_image")
        for row in np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False)):
            image = column[int(row)].as_py()
            digest = hashlib.sha256(image).digest()
            if digest not in known:
                known[digest] = len(images)
                images.append(image)
            query[row] = known[digest]
        parts.append((_codes(chosen, "user", users), _codes(chosen, "item", items), _ints(chosen.column(key)), query))
    if not parts:
        parts.append(tuple(np.zeros(0, np.int64) for _ in range(4)))
    user, item, moment, query = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    query[query >= 0] += len(items)
    return _Events(user, item, moment, query, images)


def _is_positive(batch: pa.RecordBatch, signal: str, liked: float) -> pa.Array:
    kind, label = batch.column("kind"), batch.column("label")
    judged = pc.is_in(kind, pa.array(JUDGEMENTS))
    good = pc.greater_equal(label, pa.scalar(liked, pa.float32()))
    if signal == "click":  # an impression without a click has the label 0
        return pc.or_(judged, good)
    return pc.and_(pc.or_(judged, pc.is_in(kind, pa.array(PURCHASES))), good)


def _codes(batch: pa.RecordBatch, column: str, ids: pa.Array) -> Rows:
    return _ints(pc.index_in(batch.column(column), ids))


def _ints(values: pa.Array) -> Rows:
    return pc.fill_null(values, -1).to_numpy(zero_copy_only=False).astype(np.int64)


def _cut(events: _Events, bounds: Bounds) -> tuple[_Events, dict[str, int]]:
    """Without what may not teach; sorted by time."""
    counts = {"positive events": len(events.item)}
    known = (events.item >= 0) & (events.user >= 0)
    late = known & _late(events, bounds)
    keep = np.flatnonzero(known & ~late)
    keep = keep[np.argsort(events.key[keep], kind="stable")]
    last = np.zeros(len(keep), bool)
    if bounds.leave_last:
        last[_last_of_each(events.user[keep], bounds.leave_last)] = True
    counts |= {"events later than the training's end": int(late.sum()), "last events of users": int(last.sum())}
    keep = keep[~last]
    columns = (column[keep] for column in (events.user, events.item, events.key, events.query))
    return _Events(*columns, events.images), counts


def _late(events: _Events, bounds: Bounds) -> NDArray[np.bool_]:
    late = np.zeros(len(events.key), np.bool_)
    if bounds.until is not None:
        late |= events.key > bounds.until
    if bounds.held_out is not None:
        late |= events.key >= bounds.held_out[events.user]
    return late


def _last_of_each(user: Rows, count: int) -> Rows:
    """Positions of the last `count` events of each user."""
    by_user = np.argsort(user, kind="stable")
    sizes = np.unique(user, return_counts=True)[1]
    from_end = np.repeat(np.cumsum(sizes), sizes) - 1 - np.arange(len(user))
    return by_user[from_end < count]


def _queries_and_items(events: _Events) -> tuple[Rows, Rows]:
    """Each positive event with its image query; without one, with the item before it of the same user, if another."""
    by_user = np.argsort(events.user, kind="stable")
    before, after = by_user[:-1], by_user[1:]
    chosen = (events.user[before] == events.user[after]) & (events.item[before] != events.item[after])
    query = events.query.copy()
    stands_in = np.full(len(query), -1, np.int64)
    stands_in[after[chosen]] = events.item[before[chosen]]
    query = np.where(query >= 0, query, stands_in)
    return query[query >= 0], events.item[query >= 0]
