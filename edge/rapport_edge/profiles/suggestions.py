"""What a profile suggests next: the first items of the catalogue in the person's ranking.

A ranking of the whole catalogue takes the time of many candidates. It is made anew only when the person's behaviour has
changed, and by whoever calls `renew`, in a thread that nobody waits for: profiles carry what there is until then.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from rapport_edge.errors import RapportError
from rapport_edge.profiles.item_ranking import ItemRanking
from rapport_edge.profiles.profile import Suggestion
from rapport_edge.ranking import RankedItem
from rapport_edge.store import BehaviourVersion, Consent, ProfileReader, ProfileRecord

_log = logging.getLogger(__name__)

#: Seconds until a ranking that failed is tried again, such as one that a server did not answer in time.
RETRY_AFTER: Final = 60.0


class _Made(NamedTuple):
    """Suggestions, and the behaviour that they rest on."""

    version: BehaviourVersion | None = None
    suggestions: tuple[Suggestion, ...] = ()
    retry_at: float = math.inf

    def is_outdated(self, version: BehaviourVersion, now: float) -> bool:
        return version != self.version or now >= self.retry_at


class Suggestions:
    """Keeps each person's suggestions. Thread-safe.

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
        self._condition, self._renewing = threading.Condition(), threading.Lock()
        self._made: dict[str, _Made] = {}
        #: In the order in which they were asked for.
        self._outdated: dict[str, None] = {}
        self.last_failure = ""

    def of(self, record: ProfileRecord) -> tuple[Suggestion, ...]:
        """Best first, as of the newest ranking; none for who has not granted consent or has no history.

        Where behaviour has changed since, the person waits for `renew`.
        """
        user_id = record.user_id
        if record.consent is not Consent.GRANTED:
            self.drop(user_id)
            return ()
        try:
            version = self._store.behaviour_version(user_id)
        except RapportError as error:
            self.last_failure = str(error)
            return ()
        with self._condition:
            made = self._made.get(user_id, _Made())
            if made.is_outdated(version, self._clock()):
                self._outdated[user_id] = None
                self._condition.notify()
            return made.suggestions

    def outdated(self, timeout: float) -> str | None:
        """Who has waited longest for `renew`; None if nobody does within so many seconds."""
        with self._condition:
            self._condition.wait_for(lambda: self._outdated, timeout)
            return next(iter(self._outdated), None)

    def renew(self, user_id: str) -> bool:
        """Ranks the catalogue for a person who waits for it, and says whether that changed what they are suggested."""
        with self._renewing:
            with self._condition:
                if user_id not in self._outdated:
                    return False
                del self._outdated[user_id]
                before = self._made.setdefault(user_id, _Made())
            made = self._ranked(user_id, before)
            with self._condition:
                # Who was dropped meanwhile has no entry, or a new one.
                if self._made.get(user_id) is not before:
                    return False
                self._made[user_id] = made
                return made.suggestions != before.suggestions

    def drop(self, user_id: str) -> None:
        """Forgets what was suggested to a person, also what a ranking under way will say."""
        with self._condition:
            self._made.pop(user_id, None)
            self._outdated.pop(user_id, None)

    def _ranked(self, user_id: str, before: _Made) -> _Made:
        """Where ranking fails, no suggestions for a while: it is not tried again with every profile.

        However it fails: a profile that somebody waits for does without suggestions.
        """
        version = before.version
        try:
            # Taken first: what happens during the ranking makes it outdated again.
            version = self._store.behaviour_version(user_id)
            if not before.is_outdated(version, self._clock()):
                return before
            if version.events == 0:
                return _Made(version)
            ranking = self._ranking.rank(self._store, user_id, (), self._count, self._clock())
        except RapportError as error:
            self.last_failure = str(error)
        except Exception as error:  # noqa: BLE001 - whatever it was, it would be so with the next profile, too
            self.last_failure = f"{type(error).__name__}: {error}"
            _log.exception("a ranking failed")
        else:
            return _Made(version, () if ranking.remark else tuple(map(_suggestion, ranking.items)))
        return _Made(version, retry_at=self._clock() + RETRY_AFTER)


def suggestions_of(
    store: ProfileReader, ranking: ItemRanking, count: int, clock: Callable[[], float] = time.time
) -> Suggestions | None:
    """`Suggestions`, or None where nothing can be ranked or nothing is to be suggested."""
    return None if ranking.obstacle or count == 0 else Suggestions(store, ranking, count, clock)


def _suggestion(item: RankedItem) -> Suggestion:
    return Suggestion(item_id=item.id, title=item.title, rank=item.rank, score=item.score, reason=item.reason)
