"""The profile store: what the robot remembers about people, as far as they agreed to it.

Two databases of one schema: a file for persons who granted consent, and one in memory for everybody else. Granting
moves a person from memory into the file, refusing deletes them from both.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rapport_edge.faces import DemographicEstimate, FloatArray
from rapport_edge.store.behaviour import add_interaction, set_preference
from rapport_edge.store.connection import transaction
from rapport_edge.store.consent import REFUSALS, Consent
from rapport_edge.store.demographics import observe_demographics
from rapport_edge.store.embeddings import EmbeddingKey, View, observe_embedding, unit_vector
from rapport_edge.store.errors import ConsentError
from rapport_edge.store.governance import GovernedStore
from rapport_edge.store.reader import Located
from rapport_edge.store.records import (
    EventKind,
    Identified,
    InteractionRecord,
    Match,
    Observation,
    Person,
    PreferenceRecord,
    ProfileEvent,
    ProfileRecord,
    checked,
)
from rapport_edge.store.settings import StoreSettings
from rapport_edge.store.users import consent_of, insert_user, read_profile, set_name, touch

#: A person in view is written as seen once in so many seconds, not with every frame.
TOUCH_INTERVAL_S = 1.0


def ignore_event(event: ProfileEvent) -> None:
    """For owners who publish no events."""


class ProfileStore(GovernedStore):
    """Remembers people. Thread-safe; what a method has returned from is on the disk, as far as it belongs there.

    Args:
        path: of the database; created, with its folder, where there is none.
        settings: retention and storage.
        clock: seconds since the Unix epoch.
        on_event: called after each change that others should know of, in the changing thread and with no lock held.
            Observations and interactions make no event; they come with every look.

    Raises:
        StoreError: the database is owned by another process, damaged, of a newer version or cannot be written.
    """

    def __init__(
        self,
        path: Path,
        settings: StoreSettings | None = None,
        clock: Callable[[], float] = time.time,
        on_event: Callable[[ProfileEvent], None] = ignore_event,
    ) -> None:
        super().__init__(path, settings or StoreSettings(), clock, on_event)

    def see(self, user_id: str) -> ProfileRecord:
        """A person is in view. One who is not known becomes an anonymous person in memory.

        Args:
            user_id: a letter first, then letters, digits and underscores, at most 64 characters; random, not a name.

        Raises:
            StoreError: an id of another form.
        """
        with self._observing(user_id) as (located, _):
            return read_profile(*located)

    def observe(self, user_id: str, estimate: DemographicEstimate, encounter: str) -> ProfileRecord:
        """Record what is believed about a person in view; nothing is kept of one who said no.

        Args:
            user_id: as `see` takes it.
            estimate: fused over the encounter so far: it replaces the encounter's earlier one.
            encounter: names this stay in view, unique for ever, such as start time and track id.

        Raises:
            StoreError: an estimate that is no distribution, or an embedding that does not fit the model's others.
        """
        with self._observing(user_id) as (located, at):
            if consent_of(located.db, located.user_id) not in REFUSALS:
                key = checked(Observation(encounter=encounter, model_digest=estimate.model_digest))
                with transaction(located.db):
                    observe_demographics(located.db, located.user_id, estimate, key.encounter, at)
                    if estimate.embedding.size:
                        self._embed(located, key, estimate.embedding, float(estimate.observations), at)
                self._index(located)
            return read_profile(*located)

    def observe_embedding(
        self, user_id: str, model_digest: str, embedding: FloatArray, weight: float, encounter: str
    ) -> None:
        """Record a person's embedding under another model, such as a face recogniser's; see `observe`.

        Args:
            user_id: as `see` takes it.
            model_digest: SHA-256 of the model's ONNX file.
            embedding: (d,) finite, the mean over the encounter so far; it is normalised here.
            weight: views behind it, more than 0.
            encounter: as in `observe`.

        Raises:
            StoreError: an embedding that does not fit the model's others, or a weight out of range.
        """
        with self._observing(user_id) as (located, at):
            if consent_of(located.db, located.user_id) not in REFUSALS:
                key = checked(Observation(encounter=encounter, model_digest=model_digest))
                with transaction(located.db):
                    self._embed(located, key, embedding, weight, at)
                self._index(located)

    def introduce(self, user_id: str, name: str | None, languages: tuple[str, ...] = ()) -> ProfileRecord:
        """Remember how a person wants to be called and spoken to.

        Args:
            user_id: of a known person.
            name: None where they told none.
            languages: BCP 47 tags, best first.

        Raises:
            ConsentError: without "granted".
            UnknownUserError: nobody is known by this id.
        """
        person = checked(Person(name=name, languages=languages))
        with self._changing() as events:
            located, at = self._require(user_id), self._now()
            if located.anonymous:
                raise ConsentError(f"{user_id} has not granted consent, so name and languages cannot be kept")
            with transaction(located.db):
                set_name(located.db, located.user_id, person.name, person.languages)
            events.append(self._updated(located, at, "name"))
            return read_profile(*located)

    def set_preference(self, user_id: str, preference: PreferenceRecord) -> ProfileRecord:
        """Write what is now believed about one topic.

        Raises:
            ConsentError: the person said no.
            UnknownUserError: nobody is known by this id.
            StoreError: a value out of its range.
        """
        preference = checked(preference)
        with self._changing() as events:
            located, at = self._willing(user_id), self._now()
            with transaction(located.db):
                set_preference(located.db, located.user_id, preference, at)
            events.append(self._updated(located, at, "preferences"))
            return read_profile(*located)

    def add_interaction(self, user_id: str, interaction: InteractionRecord) -> None:
        """Append one event of behaviour. Raises as `set_preference`."""
        interaction = checked(interaction)
        with self._changing():
            located, at = self._willing(user_id), self._now()
            with transaction(located.db):
                add_interaction(located.db, located.user_id, interaction, at)

    def candidates(self, embedding: FloatArray, model_digest: str, k: int = 5) -> list[Match]:
        """The `k` persons with consent who are most similar under one model, best first.

        Raises:
            StoreError: the vector does not fit the model's others.
        """
        with self._reading():
            return self._gallery.search(embedding, model_digest, k)

    def recognise(self, embedding: FloatArray, model_digest: str, threshold: float) -> Match | None:
        """The most similar person with consent, if the cosine reaches `threshold`."""
        best = self.candidates(embedding, model_digest, 1)
        return best[0] if best and best[0].similarity >= threshold else None

    @contextmanager
    def _observing(self, user_id: str) -> Iterator[tuple[Located, float]]:
        """Hold the store while a person is in view, who is made known where they are not."""
        with self._changing() as events:
            at = self._now()
            located = self._locate(user_id)
            if located is None:
                located = self._introduce_stranger(user_id, at)
                events.append(self._event(EventKind.CREATED, user_id, at))
            elif at - read_profile(*located).last_seen >= TOUCH_INTERVAL_S:
                touch(located.db, located.user_id, at)
            yield located, at

    def _introduce_stranger(self, user_id: str, at: float) -> Located:
        checked(Identified(user_id=user_id))
        insert_user(self._memory, user_id, Consent.UNKNOWN, at)
        return Located(self._memory, user_id, True)

    def _willing(self, user_id: str) -> Located:
        located = self._require(user_id)
        consent = consent_of(located.db, located.user_id)
        if consent in REFUSALS:
            raise ConsentError(f"{user_id} has {consent.value} consent: nothing about this person is kept")
        return located

    def _embed(self, located: Located, key: Observation, embedding: FloatArray, weight: float, at: float) -> None:
        view = View(unit_vector(embedding), weight, at)
        whose = EmbeddingKey(located.user_id, key.model_digest, key.encounter)
        observe_embedding(located.db, whose, view, self.settings.embedding_dtype)

    def _index(self, located: Located) -> None:
        if not located.anonymous:
            self._gallery.refresh(located.user_id)

    def _updated(self, located: Located, at: float, detail: str) -> ProfileEvent:
        consent = consent_of(located.db, located.user_id)
        return self._event(EventKind.UPDATED, located.user_id, at, consent, detail)
