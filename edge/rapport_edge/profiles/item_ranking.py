"""What to suggest to a person: their stored behaviour, if they agreed to that, and an interest-ranker bundle."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec

from rapport_edge.bundle import load_bundle
from rapport_edge.errors import RapportError, SettingsError
from rapport_edge.ranking import ContentSource, Event, InterestRanker, Item, RankedItem, create_ranker
from rapport_edge.ranking.behaviour import history_of
from rapport_edge.ranking.files import open_sources
from rapport_edge.store import Consent, ProfileReader

NO_RANKER = "items are ranked by an interest-ranker bundle, and this node has none (rank.bundle_path)"


class RankSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """With what items are ranked for a person.

    Attributes:
        bundle_path: folder of an interest-ranker bundle; "", the default: no items are ranked.
        centre: a representation centre that knows items which the bundle does not: a folder, or redis://...; "" for
            none.
        suggestions: items that a profile suggests; the catalogue is ranked for a person in view, or asked for, when
            their behaviour has changed, while everything else goes on. 0: none.
    """

    bundle_path: str = ""
    centre: str = ""
    suggestions: Annotated[int, msgspec.Meta(ge=0, le=100)] = 3


class Ranking(msgspec.Struct, frozen=True, kw_only=True):
    """Items for one person, best first; `remark` says what the ranking does not rest on, "" if there is nothing."""

    items: tuple[RankedItem, ...]
    remark: str = ""


class ItemRanking:
    """Ranks items for persons of one store. Thread-safe: one ranking after the other.

    Args:
        settings: see there.

    Raises:
        BundleError: if the bundle is incomplete, altered, or no interest-ranker.
        SettingsError: if a centre is named without a bundle.
        CentreError: if there is no such centre.
        RankingError: if the centre holds embeddings of another encoder.
    """

    def __init__(self, settings: RankSettings) -> None:
        if settings.centre and not settings.bundle_path:
            raise SettingsError("rank.centre names a representation centre, but rank.bundle_path no ranker to use it")
        self._one_at_a_time = threading.Lock()
        self._sources = open_sources(settings.centre)
        try:
            self._ranker = _ranker(settings.bundle_path, self._sources)
        except RapportError:
            self.close()
            raise

    def close(self) -> None:
        """Lets go of the representation centre, after a ranking that has begun."""
        with self._one_at_a_time:
            self._ranker = None
            for source in self._sources:
                source.close()

    @property
    def obstacle(self) -> str:
        """Why nothing can be ranked; "" if it can."""
        return "" if self._ranker is not None else NO_RANKER

    def rank(
        self, store: ProfileReader, user_id: str, candidates: Sequence[Item], limit: int | None, now: float
    ) -> Ranking:
        """Candidates by one person's predicted interest, best first.

        Behaviour is read of who granted consent only. For everybody else the ranking is the one of a person without a
        history, and the remark says so. Nothing else about a person is used. What a person decides during the ranking
        holds for it: the items are ranked again.

        Args:
            store: where the person's behaviour lies.
            user_id: of a known person.
            candidates: empty for the bundle's catalogue.
            limit: at most so many; None for all.
            now: seconds since 1970.

        Raises:
            SettingsError: if there is no ranker.
            UnknownUserError: nobody is known by this id.
            RankingError, ModelError: as `InterestRanker.rank`.
        """
        if self.obstacle:
            raise SettingsError(self.obstacle)
        while True:
            basis = _basis(store, user_id)
            with self._one_at_a_time:
                if self._ranker is None:
                    raise SettingsError("no items are ranked any more: the ranker was closed")
                items = self._ranker.rank(basis.history, candidates or None, now=now, limit=limit)
            if _holds(basis, store, user_id):
                return Ranking(items=tuple(items), remark=_remark(basis.consent, bool(basis.history)))


class _Basis(NamedTuple):
    """What a ranking rests on: a decision, how many interactions are stored, and what was liked."""

    consent: Consent
    stored: int
    history: list[Event]


def _basis(store: ProfileReader, user_id: str) -> _Basis:
    consent = store.get(user_id).consent
    stored = store.interactions(user_id) if consent is Consent.GRANTED else ()
    return _Basis(consent, len(stored), history_of(stored))


def _holds(basis: _Basis, store: ProfileReader, user_id: str) -> bool:
    """False where the person decided otherwise meanwhile, or behaviour was deleted. Raises UnknownUserError."""
    if store.get(user_id).consent is not basis.consent:
        return False
    # Fewer also where somebody withdrew and agreed again.
    return store.behaviour_version(user_id).events >= basis.stored


def _remark(consent: Consent, with_history: bool) -> str:
    if consent is not Consent.GRANTED:
        return f"ranked as for somebody unknown: the person's consent is {consent.value}, so no behaviour is kept"
    return "" if with_history else "ranked as for somebody unknown: the person has no history yet"


def _ranker(bundle_path: str, sources: Sequence[ContentSource]) -> InterestRanker | None:
    if not bundle_path:
        return None
    return create_ranker(load_bundle(Path(bundle_path).expanduser()), sources=sources)
