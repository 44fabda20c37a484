"""How long the rest will take, from how long its like took."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

Kind = tuple[str, ...]


class Pace:
    """Mean seconds of jobs by kind; a kind that was never seen is taken for the most similar one that was."""

    def __init__(self) -> None:
        self._seconds: dict[Kind, list[float]] = defaultdict(list)

    def add(self, kind: Kind, seconds: float) -> None:
        """A job of this kind took so long."""
        self._seconds[kind].append(seconds)

    def left(self, kinds: Iterable[Kind]) -> float | None:
        """Seconds for jobs of these kinds together; None before the first job has ended."""
        if not self._seconds:
            return None
        return sum(self._expected(kind) for kind in kinds)

    def _expected(self, kind: Kind) -> float:
        nearest = max(_likeness(kind, known) for known in self._seconds)
        values = [one for known, many in self._seconds.items() if _likeness(kind, known) == nearest for one in many]
        return sum(values) / len(values)


def _likeness(one: Kind, other: Kind) -> int:
    """Parts that are equal; the first, what is done, counts more than all others."""
    same = sum(a == b for a, b in zip(one, other, strict=False))
    return same + 10 * (one[:1] == other[:1])


def in_words(seconds: float | None) -> str:
    """For progress: "about 14 min left"; "" for None."""
    if seconds is None:
        return ""
    return f", about {seconds / 60:.0f} min left" if seconds >= 90 else f", about {max(1, round(seconds))} s left"
