"""One robot's store and person manager, with a clock that only moves when told."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import numpy as np

from rapport_edge.faces import AgeEstimate, AttributeEstimate, DemographicEstimate, FloatArray
from rapport_edge.profiles.evidence import IdentityView
from rapport_edge.profiles.identity import IdentityMap, IdentitySettings
from rapport_edge.profiles.item_ranking import ItemRanking
from rapport_edge.profiles.person_manager import PersonManager, PersonSettings
from rapport_edge.profiles.profile import Profile
from rapport_edge.profiles.suggestions import suggestions_of
from rapport_edge.store import ProfileEvent, ProfileStore, StoreSettings

RECOGNISER = "r" * 64


class House:
    """One robot's store and person manager.

    Attributes:
        now: of both clocks, seconds.
        suggestions: what profiles suggest, where there is a ranking.
        events: all events of the store, oldest first.
    """

    def __init__(self, database: Path, ranking: ItemRanking | None = None, suggestions: int = 2) -> None:
        self.now = 1_700_000_000.0
        self.events: list[ProfileEvent] = []
        settings = StoreSettings(busy_timeout_s=0.05)
        self.store = ProfileStore(database, settings, lambda: self.now, self._on_event)
        numbers = count(1)
        identities = IdentityMap(IdentitySettings(agreeing_views=2), 0.55, lambda: f"person_{next(numbers)}")
        self.suggestions = (
            None if ranking is None else suggestions_of(self.store, ranking, suggestions, lambda: self.now)
        )
        self.people = PersonManager(
            self.store, identities, PersonSettings(), RECOGNISER, lambda: self.now, suggestions=self.suggestions
        )

    def _on_event(self, event: ProfileEvent) -> None:
        self.events.append(event)
        self.people.on_event(event)

    def wait(self, seconds: float) -> None:
        """Lets time pass as a node does, with the faces of the last call out of mind."""
        self.now += seconds
        self.people.tick()

    def publish(self) -> dict[str, Profile]:
        """What a node would publish now, by user id."""
        return {profile.user_id: profile for profile in self.people.take_changes()}

    def renew(self) -> list[str]:
        """Ranks for who waits for it, as a node's worker does; whose suggestions have changed."""
        renewed = []
        while self.suggestions is not None and (user_id := self.suggestions.outdated(0.0)) is not None:
            if self.suggestions.renew(user_id):
                self.people.behaved(user_id)
                renewed.append(user_id)
        return renewed

    def kinds(self, user_id: str) -> list[str]:
        """Names of the events about one person, oldest first."""
        return [event.kind.value for event in self.events if event.user_id == user_id]


def unit(seed: int) -> FloatArray:
    """Unit vectors that are orthogonal for different seeds below 8."""
    return np.eye(8, dtype=np.float32)[seed]


def view(seed: int) -> IdentityView:
    """What the recogniser sees of a person."""
    return IdentityView(unit(seed), RECOGNISER)


def estimate(observations: int = 1) -> DemographicEstimate:
    """A woman of about 30."""
    bins = AttributeEstimate("age", ("20-29", "30-39"), np.array([0.4, 0.6], np.float32), "30-39", 0.6)
    gender = AttributeEstimate("gender", ("Female", "Male"), np.array([0.9, 0.1], np.float32), "Female", 0.9)
    age = AgeEstimate(bins, 31.0, 4.0, 26.0, 36.0)
    return DemographicEstimate(age, {"gender": gender}, unit(0), observations, "d" * 64)
