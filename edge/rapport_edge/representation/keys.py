"""Item ids as keys of 16 bytes: fast to compare many at a time, and never equal for two different ids.

An id of up to 15 bytes of UTF-8 is its own key, padded with zeros. A longer one is represented by 120 bits of BLAKE2b,
for which nobody can find two ids with the same digest; the last byte tells the two kinds apart.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rapport_edge.representation.errors import CentreError

KEY_BYTES: Final = 16

_LONG: Final = b"\x80"
_LAST_BYTE: Final = np.array(56, np.uint64)
# Arrays without dimensions: NumPy combines them with others in half the time that its scalars take.
_HALF: Final = np.array(32, np.uint64)
_MIX: Final = tuple(
    np.array(factor, np.uint64) for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53, 0x9E3779B97F4A7C15)
)
#: (17, 2) uint64: row k keeps the first k bytes of 16.
_MASKS: Final = np.frombuffer(b"".join(b"\xff" * k + bytes(16 - k) for k in range(17)), "<u8").reshape(-1, 2)

Words = NDArray[np.uint64]
Ids = Sequence[str] | NDArray[Any]


@dataclass(frozen=True)
class Keys:
    """Ids that were turned into keys once, for callers that look the same ids up again and again.

    Attributes:
        words: (n, 2) uint64, the keys.
        hashes: (n,) uint64, where a table looks for them first.
    """

    words: Words
    hashes: Words

    def __len__(self) -> int:
        return len(self.words)

    def __getitem__(self, rows: Any) -> Keys:
        """Some of them, by a slice or an index array."""
        return Keys(self.words[rows], self.hashes[rows])


def keys_of(ids: Ids) -> Keys:
    """The keys of ids.

    Args:
        ids: n strings, or an array of NumPy's kinds S (UTF-8) or U; the former is the fastest.
    """
    words = words_of(ids)
    return Keys(words, hash_words(words))


def words_of(ids: Ids) -> Words:
    """(n, 2) uint64 keys of n ids."""
    if isinstance(ids, np.ndarray):
        ids = ids.tolist() if ids.dtype.kind != "S" else ids
    words = _words_of_bytes(ids) if isinstance(ids, np.ndarray) else _words_of_strings(ids)
    for row in np.flatnonzero(words[:, 1] >> _LAST_BYTE).tolist():
        words[row] = np.frombuffer(_long_key(ids[row]), "<u8")
    return words


def checked_ids(ids: Sequence[str]) -> None:
    """Refuses what cannot be the id of an item.

    Raises:
        CentreError: an id is empty, no string, holds a zero byte or half a character, or is there twice.
    """
    for position, item in enumerate(ids):
        if not isinstance(item, str) or not item or "\0" in item or not _is_text(item):
            raise CentreError(f"item {position} has the id {item!r}; an id is text, not empty and without NUL")
    if len(set(ids)) < len(ids):
        twice, times = Counter(ids).most_common(1)[0]
        raise CentreError(f"the id {twice!r} is there {times} times; which of its vectors is meant?")


def text_of(item: object) -> str:
    """An id that is asked for as text; bytes that are no UTF-8 become text that no item has."""
    return item.decode(errors="surrogateescape") if isinstance(item, bytes) else str(item)


def hash_words(words: Words, seed: int = 0) -> Words:
    """(n,) uint64 hashes of (n, 2) keys: multiplications and shifts, as in MurmurHash3's finaliser."""
    # The seed goes in before the two halves become one number: later it could not part two keys that are equal there.
    start = words[:, 0] ^ (np.array(seed, np.uint64) * _MIX[2]) if seed else words[:, 0]
    mixed = start * _MIX[0]
    mixed ^= mixed >> _HALF
    mixed += words[:, 1]
    mixed *= _MIX[1]
    mixed ^= mixed >> _HALF
    mixed *= _MIX[2]
    hashes: Words = mixed
    return hashes


def _words_of_bytes(ids: NDArray[np.bytes_]) -> Words:
    words: Words = ids.astype("S16").view("<u8").reshape(-1, 2)
    if ids.dtype.itemsize > KEY_BYTES:
        # NumPy cuts zeros off the end only: what ends with the 16th byte, but has a NUL there, must not look shorter.
        longer = ids != ids.astype(f"S{KEY_BYTES - 1}")
        for row in np.flatnonzero(longer & (words[:, 1] >> _LAST_BYTE == 0)).tolist():
            words[row] = np.frombuffer(_long_key(ids[row]), "<u8")
    return words


def _words_of_strings(ids: Sequence[str]) -> Words:
    """All ids in one buffer, and from each one's start the next 16 bytes, less what belongs to its neighbour.

    Four times as fast as letting NumPy convert the strings one by one.
    """
    text = encoded("\0".join([*ids, ""])) + bytes(KEY_BYTES)
    buffer = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(buffer[:-KEY_BYTES] == 0)
    if len(ends) != len(ids):
        return _words_despite_nul(ids)
    starts = np.empty(len(ids), np.int64)
    starts[:1] = 0
    np.add(ends[:-1], 1, out=starts[1:])
    windows = np.ndarray((len(text) - KEY_BYTES + 1,), "V16", text, strides=(1,))
    words: Words = windows[starts].view("<u8").reshape(-1, 2)
    ends -= starts
    words &= _MASKS.take(ends, axis=0, mode="clip")
    return words


def _words_despite_nul(ids: Sequence[str]) -> Words:
    """A NUL inside of an id looks like its end. No item has such an id, and a digest equals no other item's key."""
    words = np.empty((len(ids), 2), np.uint64)
    sound = [row for row, item in enumerate(ids) if "\0" not in item]
    words[sound] = _words_of_strings([ids[row] for row in sound])
    for row in set(range(len(ids))) - set(sound):
        words[row] = np.frombuffer(_long_key(ids[row]), "<u8")
    return words


def _long_key(item: Any) -> bytes:
    content = item if isinstance(item, bytes) else encoded(str(item))
    return hashlib.blake2b(content, digest_size=KEY_BYTES - 1).digest() + _LONG


def encoded(text: str) -> bytes:
    """UTF-8, in which half a character gets bytes that no text has."""
    return text.encode("utf-8", "surrogatepass")


def _is_text(item: str) -> bool:
    return item.isascii() or not any("\ud800" <= sign <= "\udfff" for sign in item)
