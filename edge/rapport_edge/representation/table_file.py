"""The published matrix: one file that is written once, checked when it is opened, and memory-mapped.

magic line; a line with the header's CRC-32 and the header in JSON; then, each from a multiple of 4,096 bytes on:
pilots   (p,) uint16, of the perfect hash
keys     (slots, 2) uint64; a free slot is all ones
vectors  (slots, D) float16 or float32; a free slot is zero
All numbers are little-endian.
"""

from __future__ import annotations

import errno
import mmap
import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from rapport_edge.representation import perfect_hash
from rapport_edge.representation.contract import CentreFormat
from rapport_edge.representation.errors import CentreDamagedError, CentreError, CentreFullError
from rapport_edge.representation.keys import Words, hash_words
from rapport_edge.representation.perfect_hash import NoPlaceError, PerfectHash, Slots

_MAGIC: Final = b"RAPPORT-ROWS-1\n"
_PAGE: Final = 4096
_FREE: Final = np.uint64(0xFFFFFFFFFFFFFFFF)
_SEEDS: Final = 16
_BLOCK: Final = 1 << 24
_NO_SPACE: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


#: (n, 2) keys, (n,) their slots, their vectors (k, D) at a time.
_Content = tuple[Words, Slots, Iterable[Any]]


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What a file says about itself.

    Attributes:
        format: encoder, dimension, storage.
        version: of the table, from 1.
        window: every item up to this window of the authority is in it.
        items, slots, pilots, seed: of the perfect hash.
        checksums: CRC-32 of pilots, keys and vectors; empty while the file is being written.
    """

    format: CentreFormat
    version: int
    window: int
    items: int
    slots: int
    pilots: int
    seed: int
    checksums: tuple[int, ...] = ()

    @property
    def sections(self) -> tuple[tuple[int, int], ...]:
        """(start, bytes) of pilots, keys and vectors."""
        row = self.format.dimension * self.format.dtype.itemsize
        start, found = _PAGE, []
        for size in (2 * self.pilots, 16 * self.slots, row * self.slots):
            found.append((start, size))
            start += -(-size // _PAGE) * _PAGE
        return tuple(found)

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        start, size = self.sections[-1]
        return start + size


class Sections:
    """Arrays over a mapped file: pilots (p,), keys (slots, 2), vectors (slots, D)."""

    def __init__(self, header: Header, buffer: mmap.mmap) -> None:
        arrays = [_array(buffer, *section) for section in header.sections]
        self.pilots: NDArray[np.uint16] = arrays[0].view("<u2")
        self.keys: Words = arrays[1].view("<u8").reshape(-1, 2)
        self.vectors: NDArray[Any] = arrays[2].view(header.format.dtype).reshape(-1, header.format.dimension)


def write_table(path: Path, layout: CentreFormat, place: tuple[int, int], words: Words, parts: Iterable[Any]) -> Header:
    """Writes a file and waits until it is on the disk; the caller renames it.

    Args:
        path: a temporary name.
        layout: encoder, dimension, storage.
        place: (version, window).
        words: (n, 2) keys of the items.
        parts: their vectors in the same order, (k, D) at a time.

    Raises:
        CentreFullError: there is no space; the file is incomplete.
        CentreError: it cannot be written, or there are not as many vectors as keys.
    """
    seed, function, slots = _hashed(words)
    header = Header(
        format=layout,
        version=place[0],
        window=place[1],
        items=len(words),
        slots=function.slots,
        pilots=len(function.pilots),
        seed=seed,
    )
    try:
        with path.open("w+b") as file:
            # A mapped file that finds no space kills the process, so the space is asked for first.
            os.posix_fallocate(file.fileno(), 0, header.size)
            buffer = mmap.mmap(file.fileno(), header.size)
            header = _fill(buffer, header, function, (words, slots, parts))
            buffer.flush()
            os.fsync(file.fileno())
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise CentreFullError(
                f"no space for {path}, {header.size / 1e6:.0f} MB; the version before stays. Free some space and "
                "publish again"
            ) from error
        raise CentreError(f"cannot write {path}: {error.strerror}") from error
    return header


def open_table(path: Path, *, verify: bool) -> tuple[Header, Sections]:
    """Maps a file.

    Args:
        path: the file.
        verify: compare the checksums of all sections, which reads the whole file once.

    Raises:
        FileNotFoundError: there is none.
        CentreDamagedError: it is not what was written.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        header = _read_header(path, file.read(_PAGE))
        if size != header.size:
            raise _damaged(path, f"it has {size} bytes, not {header.size}")
        buffer = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if verify and header.checksums != tuple(_checksums(buffer, header)):
        raise _damaged(path, "its checksum does not match")
    return header, Sections(header, buffer)


def _hashed(words: Words) -> tuple[int, PerfectHash, Slots]:
    """The first seed under which all keys find a place."""
    for seed in range(_SEEDS):
        try:
            return seed, *perfect_hash.build(hash_words(words, seed))
        except NoPlaceError:
            continue
    raise CentreError(f"{len(words)} keys collide under {_SEEDS} hash functions: two ids share a key")


def _fill(
    buffer: mmap.mmap, header: Header, function: PerfectHash, content: tuple[Words, Slots, Iterable[Any]]
) -> Header:
    """Writes all sections, then the header with their checksums."""
    words, slots, parts = content
    sections = Sections(header, buffer)
    sections.pilots[:] = function.pilots
    sections.keys[:] = _FREE
    sections.keys[slots] = words
    written = 0
    for part in parts:
        sections.vectors[slots[written : written + len(part)]] = part
        written += len(part)
    del sections
    if written != len(words):
        raise CentreError(f"{len(words)} items have {written} vectors")
    header = msgspec.structs.replace(header, checksums=tuple(_checksums(buffer, header)))
    encoded = msgspec.json.encode(header)
    line = _MAGIC + f"{zlib.crc32(encoded):08x} ".encode() + encoded + b"\n"
    if len(line) > _PAGE:
        raise CentreError(f"the encoder's digest has {len(header.format.encoder)} characters, which is too long")
    buffer[: len(line)] = line
    return header


def _read_header(path: Path, page: bytes) -> Header:
    if not page.startswith(_MAGIC):
        raise _damaged(path, "it does not begin like a table of this format")
    checksum, _, encoded = page[len(_MAGIC) :].partition(b"\n")[0].partition(b" ")
    if f"{zlib.crc32(encoded):08x}".encode() != checksum:
        raise _damaged(path, "its header does not match its checksum")
    try:
        return msgspec.json.decode(encoded, type=Header)
    except msgspec.DecodeError as error:
        raise _damaged(path, f"its header is not one of this format: {error}") from error


def _checksums(buffer: mmap.mmap, header: Header) -> Iterator[int]:
    for start, size in header.sections:
        section, checksum = _array(buffer, start, size), 0
        for first in range(0, size, _BLOCK):
            checksum = zlib.crc32(section[first : first + _BLOCK].data, checksum)
        yield checksum


def _array(buffer: mmap.mmap, start: int, size: int) -> NDArray[np.uint8]:
    return np.frombuffer(buffer, np.uint8, size, start)


def _damaged(path: Path, reason: str) -> CentreDamagedError:
    return CentreDamagedError(
        f"{path} is damaged: {reason}; open the centre for writing, which publishes it anew from its authority"
    )
