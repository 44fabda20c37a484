"""Opens a centre by its name: a folder, or a Redis server."""

from __future__ import annotations

from pathlib import Path

from rapport_edge.representation.addresses import is_redis
from rapport_edge.representation.contract import CentreFormat, CentreReader, RepresentationCentre
from rapport_edge.representation.embedded import EmbeddedCentre
from rapport_edge.representation.reader import EmbeddedReader


def open_centre(where: Path | str, encoder: str | None = None) -> CentreReader:
    """A centre for reading; its writer may be another process.

    Args:
        where: a folder, or "redis://host:port/database?centre=name", "rediss://..." or "unix://...".
        encoder: digest that it must be of; None takes any.

    Raises:
        CentreError: there is none, it is another encoder's, or damaged.
    """
    if is_redis(where):
        from rapport_edge.representation.redis_centre import RedisCentre

        return RedisCentre(str(where), encoder)
    return EmbeddedReader(Path(where), encoder)


def open_writer(where: Path | str, layout: CentreFormat) -> RepresentationCentre:
    """A centre for writing; created where there is none.

    Args:
        where: as for `open_centre`.
        layout: encoder, dimension and storage; an existing centre must have the same.

    Raises:
        CentreError: it is another encoder's, or of another dimension or storage.
        StoreError: another process writes to this folder.
    """
    if is_redis(where):
        from rapport_edge.representation.redis_centre import RedisCentre

        return RedisCentre.create(str(where), layout)
    return EmbeddedCentre(Path(where), layout)
