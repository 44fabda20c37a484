"""Embeds a catalogue into a representation centre: each item once, and again only when its title or picture changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final, Literal, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from tqdm import tqdm

from rapport_edge.representation import (
    CentreError,
    CentreFormat,
    Encoder,
    RepresentationCentre,
    open_centre,
    open_writer,
    source_hash,
)
from rapport_edge.representation.contract import Storage
from rapport_training.interest.data.log import BehaviourLog

COLUMNS: Final = ("id", "title", "image")

Engine = Literal["local", "ray"]


#: Makes the encoder, in this process or in a worker's.
Load = Callable[[], Encoder]


class Part(NamedTuple):
    """Items that were embedded: n ids, (n, D) vectors, n source hashes."""

    ids: list[str]
    vectors: NDArray[np.float32]
    sources: list[str]


class EmbedCounts(NamedTuple):
    """What was done.

    Attributes:
        items: in the log.
        embedded: of them now; the others were there already.
        version: of the table that has them all.
        broken: pictures that this process could not decode; their items count as ones without.
    """

    items: int
    embedded: int
    version: int
    broken: int = 0


def embed_log(
    log: BehaviourLog,
    run: Path,
    where: Path | str,
    *,
    engine: Engine = "local",
    storage: Storage | None = None,
    progress: bool = False,
) -> EmbedCounts:
    """Embeds what a centre does not have yet of a log's items, and publishes.

    A thousand items at a time are on the disk once they are embedded: a job that was stopped goes on from there.

    Args:
        log: with the items.
        run: of the encoder.
        where: the centre, a folder or a Redis server; made where there is none.
        engine: "local" is this process; "ray" spreads the items over a cluster.
        storage: of a new centre; None takes what a centre that is there has, and float32 for a new one.
        progress: show a bar.

    Raises:
        RapportError: there is no such encoder, or the centre is another one's or cannot be written.
    """
    from rapport_training.interest.content.item_encoder import load_item_encoder

    return embed_items(log, partial(load_item_encoder, run), where, engine=engine, storage=storage, progress=progress)


def embed_items(
    log: BehaviourLog, load: Load, where: Path | str, *, engine: Engine, storage: Storage | None, progress: bool = False
) -> EmbedCounts:
    """The same with any encoder; see `embed_log`."""
    encoder, embedded = load(), 0
    kept = storage or _storage_of(where)
    layout = CentreFormat(encoder=encoder.digest, dimension=encoder.dimension, storage=kept)
    with (
        closing(open_writer(where, layout)) as centre,
        tqdm(total=log.item_count, desc="embedding", unit="item", disable=None if progress else True) as bar,
    ):
        parts = embed_here(log, encoder, centre) if engine == "local" else _embed_by_ray(log, load, centre)
        for seen, part in parts:
            if part.ids:
                centre.put(*part)
            embedded += len(part.ids)
            bar.update(seen)
        return EmbedCounts(log.item_count, embedded, centre.publish(), getattr(encoder, "broken", 0))


def _storage_of(where: Path | str) -> Storage:
    try:
        with closing(open_centre(where)) as there:
            return there.format.storage
    except CentreError:  # none yet; whatever else is wrong, opening it for writing says so
        return "float32"


def contents_of(items: pa.RecordBatch | pa.Table) -> tuple[list[str], list[bytes | None]]:
    """Titles, "" for none, and pictures, None for none."""
    return [title or "" for title in items.column("title").to_pylist()], items.column("image").to_pylist()


def sources_of(items: pa.RecordBatch | pa.Table) -> list[str]:
    """Source hashes of items."""
    return [source_hash(title, image) for title, image in zip(*contents_of(items), strict=True)]


def embed_here(log: BehaviourLog, encoder: Encoder, centre: RepresentationCentre) -> Iterator[tuple[int, Part]]:
    """(items that were looked at, those of them that were embedded), a row group at a time."""
    for batch in log.item_batches(COLUMNS):
        ids, sources = batch.column("id").to_pylist(), sources_of(batch)
        known = centre.sources(ids)
        rows = [row for row, source in enumerate(sources) if known[row] != source]
        vectors = encoder.embed(*contents_of(batch.take(pa.array(rows, pa.int64()))))
        yield len(ids), Part([ids[row] for row in rows], np.asarray(vectors), [sources[row] for row in rows])


def _embed_by_ray(log: BehaviourLog, load: Load, centre: RepresentationCentre) -> Iterator[tuple[int, Part]]:
    from rapport_training.interest.embed_ray import embed_by_ray

    return embed_by_ray(log, load, centre)
