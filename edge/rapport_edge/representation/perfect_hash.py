"""A place of its own for every key: a perfect hash function, so that a lookup is one step without a search.

Hash and displace (Belazzougui, Botelho, Dietzfelbinger 2009; PTHash, Pibiri and Trani 2021): keys fall into small
buckets, and for each bucket a number, its pilot, is searched that sends its keys to free slots. Pilots of a million
keys are half a megabyte and stay in the processor's cache, where a binary search or a chain of probes would wait for
memory several times.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rapport_edge.representation.keys import Words

#: Share of the slots that are used; the rest keeps the search for the last buckets short.
LOAD: Final = 0.9
#: More keys in a bucket make fewer pilots and a longer search.
_KEYS_IN_BUCKET: Final = 4
_MAX_PILOT: Final = 1 << 16
#: Slots tried at a time.
_BLOCK: Final = 1 << 18

# Arrays without dimensions: NumPy combines them with others in half the time that its scalars take.
_HALF: Final = np.array(32, np.uint64)
_PILOT: Final = np.array(0xD6E8FEB86659FD93, np.uint64)
_SPREAD: Final = np.array(0xA0761D6478BD642F, np.uint64)

Pilots = NDArray[np.uint16]
Slots = NDArray[np.int64]


class NoPlaceError(Exception):
    """Some bucket fits nowhere, as two keys with the same hash do; another seed separates them."""


class PerfectHash:
    """Where keys lie.

    Attributes:
        pilots: (2^b,) uint16, one for each bucket.
        slots: how many there are.
    """

    def __init__(self, pilots: Pilots, slots: int) -> None:
        self.pilots, self.slots = pilots, slots
        self._count = np.array(slots, np.uint64)
        self._shift = np.array(65 - len(pilots).bit_length(), np.uint64)

    def slots_of(self, hashes: Words) -> Slots:
        """(n,) int64: the one slot in which a key may lie; that it does lie there is for the caller to check."""
        buckets = (hashes >> self._shift).view(np.int64)
        mixed = self.pilots.take(buckets, mode="clip").astype(np.uint64)
        mixed *= _PILOT
        mixed ^= hashes
        return _spread(mixed, self._count)


def build(hashes: Words) -> tuple[PerfectHash, Slots]:
    """A function for these keys, and the slot of each.

    Args:
        hashes: (n,) of distinct keys.

    Raises:
        NoPlaceError: with this hash there is none.
    """
    bits = max(1, (max(1, len(hashes)) // _KEYS_IN_BUCKET).bit_length())
    slots = max(1, int(len(hashes) / LOAD))
    pilots = np.zeros(1 << bits, np.uint16)
    free = np.ones(slots, np.bool_)
    for buckets, members in _by_size(hashes, bits):
        _place_buckets(buckets, members, pilots, free)
    function = PerfectHash(pilots, slots)
    return function, function.slots_of(hashes)


def _place(hashes: Words, pilots: NDArray[np.uint16], slots: int) -> Slots:
    """Slots of hashes under pilots; shapes broadcast."""
    return _spread((pilots * _PILOT) ^ hashes, np.array(slots, np.uint64))


def _spread(mixed: Words, slots: Words) -> Slots:
    """Numbers below `slots`, in place."""
    mixed *= _SPREAD
    mixed >>= _HALF
    mixed *= slots
    mixed >>= _HALF
    return mixed.view(np.int64)


def _by_size(hashes: Words, bits: int) -> Iterator[tuple[NDArray[np.int64], Words]]:
    """(buckets (b,), their hashes (b, size)), the fullest first, which are the hardest to place."""
    ordered = np.sort(hashes)
    if (ordered[1:] == ordered[:-1]).any():
        raise NoPlaceError
    buckets, starts, sizes = np.unique(ordered >> np.uint64(64 - bits), return_index=True, return_counts=True)
    for size in np.unique(sizes)[::-1]:
        of_size = np.flatnonzero(sizes == size)
        yield buckets[of_size].astype(np.int64), ordered[starts[of_size, None] + np.arange(size)]


def _place_buckets(buckets: NDArray[np.int64], members: Words, pilots: Pilots, free: NDArray[np.bool_]) -> None:
    """Finds the pilots of buckets of one size, all at the same time; what collides tries the next pilots."""
    first = 0
    claims = np.zeros(len(free), np.int32)
    while len(buckets):
        count = int(np.clip(_BLOCK // members.size, 1, 1024))
        if first + count > _MAX_PILOT:
            raise NoPlaceError
        tried = np.arange(first, first + count, dtype=np.uint16)
        choice, fits = _first_that_fits(members, tried, free)
        slots = _place(members, tried[choice][:, None], len(free))
        fits &= _undisputed(slots, fits, claims)
        pilots[buckets[fits]] = tried[choice[fits]]
        free[slots[fits]] = False
        buckets, members = buckets[~fits], members[~fits]
        first += count


def _first_that_fits(
    members: Words, tried: Pilots, free: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """For each bucket the position of the first pilot that sends its keys to free and distinct slots, if any does."""
    slots = _place(members[:, None, :], tried[:, None], len(free))
    fits = np.asarray(free[slots].all(axis=2), np.bool_)
    if members.shape[1] > 1:
        some = np.nonzero(fits)
        candidates = np.sort(slots[some], axis=1)
        fits[some] = (candidates[:, 1:] != candidates[:, :-1]).all(axis=1)
    first: NDArray[np.int64] = fits.argmax(axis=1)
    return first, np.asarray(fits.any(axis=1), np.bool_)


def _undisputed(slots: Slots, fits: NDArray[np.bool_], claims: NDArray[np.int32]) -> NDArray[np.bool_]:
    """(b,): buckets that fit and get all of their slots when several ask for the same one."""
    asking = np.arange(len(slots), dtype=np.int32)[:, None]
    claims[slots[fits]] = np.broadcast_to(asking, slots.shape)[fits]
    won: NDArray[np.bool_] = (claims[slots] == asking).all(axis=1)
    return won
