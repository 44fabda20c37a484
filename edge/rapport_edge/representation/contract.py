"""What every representation centre offers, whatever keeps its vectors (Section 3.5 of the MIM paper)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple, Protocol

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from rapport_edge.faces import FloatArray
from rapport_edge.representation.errors import CentreError, OtherEncoderError
from rapport_edge.representation.keys import Ids, checked_ids

Storage = Literal["float16", "float32"]

#: A table's header lies in one page; a SHA-512 in hexadecimal digits has 128.
_MAX_DIGEST: Final = 256


class CentreFormat(msgspec.Struct, frozen=True, kw_only=True):
    """What is settled when a centre is created.

    Attributes:
        encoder: digest of the model that makes the vectors.
        dimension: values per vector.
        storage: how a value is kept; "float16" takes half the space, rounds to 3 digits and holds up to 65,504.
    """

    encoder: str
    dimension: int
    storage: Storage = "float32"

    @property
    def dtype(self) -> np.dtype[np.float32] | np.dtype[np.float16]:
        """How vectors lie in files, whatever the machine."""
        return np.dtype("<f2") if self.storage == "float16" else np.dtype("<f4")


class Rows(NamedTuple):
    """The answer to a lookup of n ids: (n, D) float32 vectors, zero where `found`, (n,) bool, is False."""

    vectors: FloatArray
    found: NDArray[np.bool_]


class Counts(NamedTuple):
    """How full a centre is.

    Attributes:
        items: all of them.
        pending: usable, but not in the published table yet, or there with an older vector.
        version: of the published table; 0 before the first.
    """

    items: int
    pending: int
    version: int


class Encoder(Protocol):
    """What makes the vectors; `ItemEncoder` of `rapport_training` is one."""

    @property
    def digest(self) -> str:
        """Names the model: equal digests, equal vectors."""
        ...

    @property
    def dimension(self) -> int:
        """Values per vector."""
        ...

    def embed(self, titles: Sequence[str], images: Sequence[bytes | None]) -> ArrayLike:
        """(n, D) finite vectors of n items: titles, "" for none, and encoded pictures, None for none."""
        ...


class CentreReader(Protocol):
    """Reading: only the rows that are asked for travel."""

    @property
    def format(self) -> CentreFormat:
        """Encoder, dimension and storage."""
        ...

    @property
    def encoder(self) -> str:
        """Digest of the encoder."""
        return self.format.encoder

    @property
    def dimension(self) -> int:
        """Values per vector."""
        return self.format.dimension

    def lookup(self, ids: Ids) -> Rows:
        """The vectors of n items, in the order of the ids; an id may come several times."""
        ...

    def sources(self, ids: Sequence[str]) -> list[str | None]:
        """For each id the hash of what it was embedded from (`source_hash`), None for an item that is not there."""
        ...

    def counts(self) -> Counts:
        """How full it is."""
        ...

    def close(self) -> None:
        """Lets go of files and connections."""
        ...


class RepresentationCentre(CentreReader, Protocol):
    """Reading and writing."""

    def put(self, ids: Sequence[str], vectors: ArrayLike, sources: Sequence[str]) -> None:
        """Adds items or replaces their vectors; on the disk when it returns, and a new item is usable at once.

        Args:
            ids: n distinct ones, not empty.
            vectors: (n, D), finite.
            sources: n hashes of what the vectors were made from.

        Raises:
            CentreError: something of this is not so, or it could not be written. Nothing was put then.
        """
        ...

    def publish(self) -> int:
        """Closes the window: what was put before is in the table that readers follow. Returns its version."""
        ...


def source_hash(title: str, image: bytes | None) -> str:
    """What an item was embedded from, as 32 hexadecimal digits; another title or picture gives another hash."""
    parts = hashlib.blake2b(digest_size=16)
    text = title.encode()
    parts.update(len(text).to_bytes(8, "little") + text)
    parts.update(b"\0" if image is None else b"\1" + image)
    return parts.hexdigest()


def checked_items(ids: Sequence[str], vectors: ArrayLike, sources: Sequence[str], layout: CentreFormat) -> NDArray[Any]:
    """The vectors as they are to be stored, (n, D) of the centre's dtype.

    Raises:
        CentreError: see `RepresentationCentre.put`.
    """
    checked_ids(ids)
    try:
        values = np.asarray(vectors)
    except ValueError as error:
        raise CentreError(f"the vectors make no matrix: {error}") from error
    if values.dtype.kind not in "fiu":
        raise CentreError(f"vectors are real numbers, not {values.dtype}")
    if values.shape != (len(ids), layout.dimension) or len(sources) != len(ids):
        raise CentreError(
            f"{len(ids)} ids need {len(ids)} vectors of {layout.dimension} values and as many sources, not "
            f"{values.shape} and {len(sources)}"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        stored: NDArray[Any] = np.ascontiguousarray(values, dtype=layout.dtype)
    wrong = np.flatnonzero(~np.isfinite(stored).all(axis=1))
    if len(wrong):
        finite = np.isfinite(values[wrong[0]]).all()
        wide = "; create the centre with float32" if layout.storage == "float16" else ""
        reason = f"is too large for {layout.storage}{wide}" if finite else "holds NaN or infinity"
        raise CentreError(f"the vector of {ids[wrong[0]]!r} {reason}; {len(wrong)} of {len(ids)} are like that")
    return stored


def check_format(layout: CentreFormat) -> None:
    """Refuses a format that no centre can have.

    Raises:
        CentreError: with the setting that is wrong.
    """
    if not 1 <= len(layout.encoder) <= _MAX_DIGEST:
        raise CentreError(f"a centre needs the digest of its encoder, 1 to {_MAX_DIGEST} characters")
    if not 1 <= layout.dimension <= 1 << 16:
        raise CentreError(f"a vector has 1 to 65,536 values, not {layout.dimension}")
    if layout.storage not in {"float16", "float32"}:
        raise CentreError(f"vectors are kept as float16 or float32, not as {layout.storage}")


def check_same(where: object, found: CentreFormat, encoder: str | None, layout: CentreFormat | None = None) -> None:
    """Refuses a centre of another encoder or shape.

    Raises:
        OtherEncoderError: with both digests.
        CentreError: the same encoder, but another dimension or storage.
    """
    if encoder is not None and found.encoder != encoder:
        raise OtherEncoderError(where, found.encoder, encoder)
    if layout is not None and found != layout:
        raise CentreError(
            f"{where} holds vectors of {found.dimension} values in {found.storage}, not of {layout.dimension} in "
            f"{layout.storage}; name another centre"
        )
