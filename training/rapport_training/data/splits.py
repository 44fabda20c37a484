"""Which split a picture belongs to, by its content alone.

The same picture goes to the same split whatever file it comes in, in whatever order and with whatever others.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from rapport_edge.errors import SettingsError

_PLACES = 16**8  # a content hash's first 32 bits are its place


@dataclass(frozen=True, slots=True)
class Shares:
    """Shares of the splits, each 0 to 1."""

    train: float
    val: float
    test: float

    @classmethod
    def parse(cls, text: str) -> Shares:
        """Reads "0.8,0.1,0.1": train, val and test.

        Raises:
            SettingsError: if these are not three positive numbers with the sum 1.
        """
        try:
            numbers = [float(word) for word in text.split(",")]
        except ValueError:
            numbers = []
        if len(numbers) != 3 or not all(0 < number < 1 for number in numbers) or abs(sum(numbers) - 1) > 1e-6:
            raise SettingsError(f"splits {text!r} are not the shares of train, val and test, such as 0.8,0.1,0.1")
        return cls(*numbers)


def split_of(content: str, shares: Shares, seed: int = 0) -> str:
    """The split of a picture: val takes the lowest places, test the next, train the rest.

    Args:
        content: SHA-256 of the encoded picture, hexadecimal.
        shares: how much of the pictures goes where.
        seed: 0 takes the places from the hash itself; every other seed shuffles them.
    """
    place = _place(content, seed)
    if place < int(shares.val * _PLACES):
        return "val"
    return "test" if place < int((shares.val + shares.test) * _PLACES) else "train"


def _place(content: str, seed: int) -> int:
    digest = content if seed == 0 else hashlib.sha256(f"{seed}:{content}".encode()).hexdigest()
    return int(digest[:8], 16)
