"""Prepared samples as batches, in numpy and without a Python loop over rows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from rapport_edge.errors import SettingsError
from rapport_edge.ranking.history import SECONDS_PER_DAY
from rapport_training.interest.batch import PADDING, Batch, ContentRows
from rapport_training.interest.data.content_table import ContentTable
from rapport_training.interest.data.epoch_order import EpochOrder
from rapport_training.interest.data.prepared import PreparedLog, Samples, Split

#: A table of all items beats sorting while it is at most this many times longer than what there is to sort.
_TABLE_PER_ENTRY: Final = 16


@dataclass(frozen=True)
class _Histories:
    items: NDArray[np.int32]
    length: NDArray[np.int64]
    age: NDArray[np.float32] | None


def batches(  # noqa: PLR0913 - what makes a batch, each with a default
    prepared: PreparedLog,
    split: Split,
    *,
    batch_size: int,
    history_length: int,
    seed: int | None,
    content: ContentTable | None = None,
    rank: int = 0,
    world: int = 1,
    start_batch: int = 0,
) -> Iterator[Batch]:
    """Batches of a split.

    Args:
        prepared: the samples.
        split: which of them.
        batch_size: samples of a step, of all ranks together.
        history_length: how many of the most recent behaviours are kept.
        seed: None for the order of the file, every sample once. Otherwise a permutation that depends on the seed and
            nothing else (`EpochOrder`), and an end that suits training: see `batch_count`.
        content: where the embeddings of the batch's items come from; each distinct item is looked up once.
        rank, world: this process's share of every batch. Shares of a training batch are equally long, so that the mean
            of the ranks' mean losses is the batch's.
        start_batch: so many batches are passed over, for a training that goes on.

    Raises:
        SettingsError: if the batch cannot be shared among the ranks.
    """
    if batch_size < 1 or history_length < 1 or not 0 <= rank < world:
        raise SettingsError(f"batch size {batch_size}, history {history_length}, rank {rank} of {world}")
    if seed is not None and batch_size % world:
        raise SettingsError(f"a batch of {batch_size} cannot be shared equally among {world} processes")
    samples = prepared.samples(split)
    order = None if seed is None else EpochOrder(len(samples), seed)
    last = _usable(len(samples), batch_size, world, training=seed is not None)
    for first in range(start_batch * batch_size, last, batch_size):
        rows = _share(first, min(first + batch_size, last), rank, world)
        picked = samples.take(slice(rows.start, rows.stop) if order is None else order.take(rows.start, rows.stop))
        yield _batch(prepared, picked, history_length, content)


def batch_count(rows: int, batch_size: int, world: int = 1, *, training: bool) -> int:
    """How many batches `batches` gives.

    In training, the last batch loses the rows that cannot be shared equally, and is left out where a rank would get
    fewer than two: batch normalisation learns nothing from one row. The permutation makes them others every epoch.
    """
    return math.ceil(_usable(rows, batch_size, world, training=training) / batch_size)


def _usable(rows: int, batch_size: int, world: int, *, training: bool) -> int:
    if not training:
        return rows
    whole, rest = divmod(rows, batch_size)
    shared = rest - rest % world
    return whole * batch_size + (shared if shared >= 2 * world else 0)


def _share(first: int, last: int, rank: int, world: int) -> range:
    rows = last - first
    return range(first + rows * rank // world, first + rows * (rank + 1) // world)


def _batch(prepared: PreparedLog, samples: Samples, history_length: int, content: ContentTable | None) -> Batch:
    histories = _histories(prepared, samples, history_length)
    item = samples.item.astype(np.int64)
    return Batch(
        user=torch.from_numpy(samples.user.astype(np.int64)),
        item=torch.from_numpy(item),
        history=torch.from_numpy(histories.items.astype(np.int64)),
        length=torch.from_numpy(histories.length),
        label=torch.from_numpy(np.array(samples.label, dtype=np.float32)),
        age=None if histories.age is None else torch.from_numpy(histories.age),
        content=None if content is None else _content(content, item, histories.items, len(prepared.item_values)),
    )


def _histories(prepared: PreparedLog, samples: Samples, longest: int) -> _Histories:
    """The most recent behaviours, left-aligned, then padding."""
    length = np.minimum(samples.end - samples.start, longest)
    columns = np.arange(max(1, int(length.max(initial=0))))
    outside = columns >= length[:, None]
    places = (samples.end - length)[:, None] + columns
    places[outside] = 0
    if not len(prepared.sequence):
        items = np.zeros(places.shape, np.int32)
        return _Histories(items, length, None if prepared.sequence_time is None else items.astype(np.float32))
    items = prepared.sequence.take(places)
    items[outside] = PADDING
    if prepared.sequence_time is None:
        return _Histories(items, length, None)
    age = ((samples.time[:, None] - prepared.sequence_time.take(places)) / SECONDS_PER_DAY).astype(np.float32)
    age[outside] = 0
    return _Histories(items, length, age)


def _content(table: ContentTable, item: NDArray[np.int64], history: NDArray[np.int32], items: int) -> ContentRows:
    """The distinct items' rows. Items without content share row 0 with the padding."""
    if items <= _TABLE_PER_ENTRY * (history.size + item.size):
        present = np.zeros(items, np.bool_)
        present[item] = True
        present[history] = True
        distinct = np.flatnonzero(present)
    else:
        distinct = np.unique(np.concatenate([item, history.ravel()]))
    vectors = table.rows(distinct)
    has_content = vectors.any(axis=1) & (distinct != PADDING)
    kept = distinct[has_content]
    found = np.concatenate([np.zeros((1, table.dimension), np.float32), vectors[has_content]])
    return ContentRows(
        vectors=torch.from_numpy(found),
        item=torch.from_numpy(_places(kept, item, items)),
        history=torch.from_numpy(_places(kept, history, items)),
    )


def _places(kept: NDArray[np.int64], wanted: NDArray[np.integer], items: int) -> NDArray[np.int64]:
    """Where each wanted item is among the kept ones, counted from 1; 0 where it is not among them."""
    if items <= _TABLE_PER_ENTRY * wanted.size:
        table = np.zeros(items, np.int64)
        table[kept] = np.arange(1, len(kept) + 1)
        return table[wanted]
    if not len(kept):
        return np.zeros(wanted.shape, np.int64)
    place = np.minimum(np.searchsorted(kept, wanted), len(kept) - 1)
    return np.where(kept[place] == wanted, place + 1, 0)
