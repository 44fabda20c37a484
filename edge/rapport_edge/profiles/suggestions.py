"""What a profile suggests next: the first items of the catalogue in the person's ranking.

A ranking of the whole catalogue takes the time of many candidates, so it is made anew only when the person's behaviour
has changed, not with every profile.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from rapport_edge.errors import RapportError
from rapport_edge.profiles.item_ranking import ItemRanking
from rapport_edge.profiles.profile import Suggestion
from rapport_edge.ranking import RankedItem
from rapport_edge.store import Consent, ProfileReader, ProfileRecord


class _Made(NamedTuple):
    """Suggestions, and a fingerprint of the behaviour that they rest on."""

    behaviour: int
    suggestions: tuple[Suggestion, ...]


class Suggestions:
    """Keeps each person's suggestions. Not thread-safe.

    Args:
        store: where behaviour lies.
        ranking: has a ranker.
        count: how many for each person.
        clock: seconds since 1970.

    Attributes:
        last_failure: why the newest ranking that failed did; "" if none has.
    """

    def __init__(
        self, store: ProfileReader, ranking: ItemRanking, count: int, clock: Callable[[], float] = time.time
    ) -> None:
        self._store, self._ranking, self._count, self._clock = store, ranking, count, clock
        self._made: dict[str, _Made] = {}
        self.last_failure = ""

    def of(self, record: ProfileRecord) -> tuple[Suggestion, ...]:
        """Best first; none for who has not granted consent or has no history, and where ranking fails."""
        if record.consent is not Consent.GRANTED:
            self.drop(record.user_id)
            return ()
        try:
            return self._current(record.user_id)
        except RapportError as error:
            self.last_failure = str(error)
            return ()

    def drop(self, user_id: str) -> None:
        """Forgets what was suggested to a person."""
        self._made.pop(user_id, None)

    def _current(self, user_id: str) -> tuple[Suggestion, ...]:
        behaviour = hash(self._store.interactions(user_id))
        made = self._made.get(user_id)
        if made is None or made.behaviour != behaviour:
            # Noted before: what cannot be ranked is not tried again with every profile.
            self._made[user_id] = _Made(behaviour, ())
            ranking = self._ranking.rank(self._store, user_id, (), self._count, self._clock())
            made = _Made(behaviour, () if ranking.remark else tuple(map(_suggestion, ranking.items)))
            self._made[user_id] = made
        return made.suggestions


def suggestions_of(
    store: ProfileReader, ranking: ItemRanking, count: int, clock: Callable[[], float] = time.time
) -> Suggestions | None:
    """`Suggestions`, or None where nothing can be ranked or nothing is to be suggested."""
    return None if ranking.obstacle or count == 0 else Suggestions(store, ranking, count, clock)


def _suggestion(item: RankedItem) -> Suggestion:
    return Suggestion(item_id=item.id, title=item.title, rank=item.rank, score=item.score, reason=item.reason)
