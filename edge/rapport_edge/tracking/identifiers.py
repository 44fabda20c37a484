"""Track ids: five letters, none given twice."""

from __future__ import annotations

import string
from collections.abc import Iterator
from math import gcd
from random import Random

_LETTERS = string.ascii_lowercase
_LENGTH = 5
_COUNT = len(_LETTERS) ** _LENGTH


def track_ids(random: Random | None = None) -> Iterator[str]:
    """Endless ids such as "qkzwf"; 11.9 million of them before one comes again.

    Ids are letters only, because REP 155 builds topic names from them. They start at a random place, so that a node
    that outlives this process does not take a new person for the one who was "aaaab" before the restart. Stepping by a
    number that shares no factor with the count visits every word once, without a record of those already given.
    """
    random = random or Random()
    step = random.randrange(_COUNT // 4, _COUNT // 2)
    while gcd(step, _COUNT) != 1:
        step += 1
    number = random.randrange(_COUNT)
    while True:
        yield _word(number)
        number = (number + step) % _COUNT


def _word(number: int) -> str:
    letters = []
    for _ in range(_LENGTH):
        number, digit = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[digit])
    return "".join(letters)
