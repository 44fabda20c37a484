"""The same on a cluster: Ray Data reads the items, workers embed them, and this process writes the centre.

Each worker loads the encoder once. Pictures go from storage to the worker that embeds them; only ids, vectors and
source hashes come back.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rapport_edge.errors import SettingsError
from rapport_edge.representation import CentreError, RepresentationCentre
from rapport_edge.representation.keys import words_of
from rapport_training.interest.data.log import BehaviourLog
from rapport_training.interest.embed import COLUMNS, Load, Part, contents_of, sources_of

#: Items in one task.
_BATCH: Final = 1000


class Worker:
    """Embeds batches in a process of its own.

    Args:
        load: makes the encoder.
        known: reference to the pairs of id and source that the centre has, sorted (`_pairs`).
        digest: of the centre's encoder.

    Raises:
        CentreError: on this machine lies another encoder.
    """

    def __init__(self, load: Load, known: Any, digest: str) -> None:
        import ray

        self._encoder = load()
        if self._encoder.digest != digest:
            raise CentreError(
                f"on {platform.node()} lies encoder {self._encoder.digest}, but the centre is of {digest}; copy the "
                "same run to all machines"
            )
        self._known = ray.get(known)

    def __call__(self, items: pa.Table) -> pa.Table:
        """id, source and vector of what the centre does not have."""
        ids, sources = items.column("id").to_pylist(), sources_of(items)
        new = np.flatnonzero(~_contains(self._known, _pairs(ids, sources)))
        vectors = self._encoder.embed(*contents_of(items.take(pa.array(new))))
        flat = pa.array(np.asarray(vectors, np.float32).reshape(-1))
        columns = {
            "id": pa.array([ids[row] for row in new], pa.string()),
            "source": pa.array([sources[row] for row in new], pa.string()),
            "vector": pa.FixedSizeListArray.from_arrays(flat, self._encoder.dimension),
        }
        return pa.table(columns)


def embed_by_ray(log: BehaviourLog, load: Load, centre: RepresentationCentre) -> Iterator[tuple[int, Part]]:
    """(items that are done, those that were embedded), as they come back from the workers.

    A cluster is taken from RAY_ADDRESS, or one of this machine is started. Its workers read the log from the same path.

    Raises:
        SettingsError: Ray is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise SettingsError("the engine ray needs Ray Data: pip install 'rapport-training[ray]'") from error
    started = not ray.is_initialized()
    if started:
        ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    ray.data.DataContext.get_current().enable_progress_bars = False
    try:
        known = _known(log, centre)
        yield len(known), Part([], np.empty((0, centre.dimension), np.float32), [])
        arguments = (load, ray.put(known), centre.encoder)
        for batch in _embedded(log, arguments).iter_batches(batch_size=_BATCH, batch_format="pyarrow"):
            vectors = batch.column("vector").combine_chunks().flatten().to_numpy().reshape(-1, centre.dimension)
            ids = batch.column("id").to_pylist()
            yield len(ids), Part(ids, vectors, batch.column("source").to_pylist())
    finally:
        if started:
            ray.shutdown()


def _embedded(log: BehaviourLog, arguments: tuple[Load, Any, str]) -> Any:
    import ray

    devices = int(ray.cluster_resources().get("GPU", 0))
    workers = devices or max(1, int(ray.cluster_resources().get("CPU", 1)) - 1)
    items = ray.data.read_parquet(str(log.path / "items.parquet")).select_columns(list(COLUMNS))
    return items.map_batches(
        Worker,
        fn_constructor_args=arguments,
        batch_size=_BATCH,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=workers),
        num_gpus=1 if devices else None,
    )


def _known(log: BehaviourLog, centre: RepresentationCentre) -> NDArray[np.bytes_]:
    """Sorted pairs of id and source of the log's items that the centre has."""
    parts = [_pairs([], [])]
    for batch in log.item_batches(["id"]):
        ids = batch.column("id").to_pylist()
        there = [(item, source) for item, source in zip(ids, centre.sources(ids), strict=True) if source is not None]
        parts.append(_pairs([item for item, _ in there], [source for _, source in there]))
    return np.sort(np.concatenate(parts))


def _pairs(ids: list[str], sources: list[str]) -> NDArray[np.bytes_]:
    """(n,) 16 bytes for each pair, so that 16 million of them are 256 MB."""
    return words_of([f"{item}\n{source}" for item, source in zip(ids, sources, strict=True)]).view("S16").reshape(-1)


def _contains(known: NDArray[np.bytes_], pairs: NDArray[np.bytes_]) -> NDArray[np.bool_]:
    if not len(known):
        return np.zeros(len(pairs), np.bool_)
    places = np.searchsorted(known, pairs).clip(max=len(known) - 1)
    return known[places] == pairs
