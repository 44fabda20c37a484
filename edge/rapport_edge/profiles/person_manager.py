"""From faces to persons to profiles, with the store behind it: the person manager of REP 155.

Evidence is taken at once and kept in memory; `take_changes` writes it to the store and gives out profiles. A store that
fails is counted, tried again later, and meanwhile profiles rest on what is in memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated

import msgspec

from rapport_edge.profiles.evidence import with_estimate
from rapport_edge.profiles.identity import IdentityMap
from rapport_edge.profiles.person_records import PersonRecords
from rapport_edge.profiles.persons_in_view import PersonsInView
from rapport_edge.profiles.profile import Profile, assemble
from rapport_edge.profiles.store_calls import StoreCalls
from rapport_edge.profiles.suggestions import Suggestions
from rapport_edge.store import REFUSALS, Consent, EventKind, ProfileEvent, ProfileRecord, ProfileStore

Seconds = Annotated[float, msgspec.Meta(gt=0.0, le=3600.0)]


class PersonSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often profiles change, and when a face is gone.

    Attributes:
        publish_rate: profiles per second and person at most; the first one comes at once.
        face_timeout: seconds after which a face that nobody reports any more is out of sight.
        retry_interval: seconds between attempts to write to a store that failed.
    """

    publish_rate: Annotated[float, msgspec.Meta(gt=0.0, le=100.0)] = 5.0
    face_timeout: Seconds = 3.0
    retry_interval: Seconds = 5.0


class PersonManager(PersonsInView):
    """Keeps who is in view and what is known about them. Not thread-safe: its owner calls one method at a time.

    Args:
        store: the profile store; its events belong to `on_event`.
        identities: who is who.
        settings: see there.
        recogniser_digest: views of this face recogniser may name persons; None where nobody is to be recognised.
        clock: monotonic seconds.
        suggestions: what profiles suggest; None for nothing.

    Attributes:
        store_calls: how the store fares.
    """

    def __init__(
        self,
        store: ProfileStore,
        identities: IdentityMap,
        settings: PersonSettings,
        recogniser_digest: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        suggestions: Suggestions | None = None,
    ) -> None:
        self.store_calls = StoreCalls(settings.retry_interval, clock)
        records = PersonRecords(store, self.store_calls, identities.is_own)
        super().__init__(records, identities, recogniser_digest, clock)
        self._settings = settings
        self._suggestions = suggestions
        self._given_out: dict[str, float] = {}

    def tick(self) -> None:
        """To be called a few times a second: drops silent faces, makes known who is in view, tries the store again."""
        now = self._clock()
        self.lose([key for key, face in self._faces.items() if now - face.seen > self._settings.face_timeout])
        self._assign()
        for face in self._faces.values():
            if face.user_id is not None and not face.unsaved:
                self._refresh(face.user_id)
            elif self.store_calls.may_write:
                self._mark(face.user_id)

    def take_changes(self) -> list[Profile]:
        """The profiles that changed and are due, after their evidence was written to the store."""
        now, least = self._clock(), 1.0 / self._settings.publish_rate
        due = sorted(user for user in self._changed if now - self._given_out.get(user, float("-inf")) >= least)
        self._changed.difference_update(due)
        for face in self._faces.values():
            if face.user_id in due:
                self._records.save(face)
        profiles = [profile for user in due if (profile := self.profile(user)) is not None]
        self._given_out.update(dict.fromkeys((profile.user_id for profile in profiles), now))
        return profiles

    def profile(self, user_id: str) -> Profile | None:
        """A person's profile as it is now; None when nobody is known by this id."""
        record = self._records.find(user_id)
        if record is None:
            return None
        face_id = self.in_view.get(record.user_id, "")
        face = self._faces.get(face_id)
        if face is not None and face.unsaved and face.estimate is not None:
            record = with_estimate(record, face.estimate)
        return self._assembled(record, face_id)

    def profile_of_face(self, face_id: str) -> Profile | None:
        """The profile of who is seen in a face; None when the face is not in view."""
        face = self._faces.get(face_id)
        return None if face is None or face.user_id is None else self.profile(face.user_id)

    def behaved(self, user_id: str) -> None:
        """What a person did was stored, or ranked, which may change what their profile suggests."""
        if self._suggestions is not None:
            self._mark(user_id)

    def set_consent(self, user_id: str, consent: Consent, actor: str, evidence: str) -> Profile:
        """Records a decision and acts on it before it returns. Raises as `ProfileStore.set_consent`."""
        record = self._records.set_consent(user_id, consent, actor, evidence)
        for face in self._faces.values():
            if face.user_id != record.user_id:
                continue
            if consent in REFUSALS:
                face.bar()
            elif consent is Consent.GRANTED:
                face.unsaved = face.estimate is not None or face.identity_views > 0
                self._records.save(face)
        self._mark(record.user_id)
        profile = self.profile(record.user_id)
        assert profile is not None
        return profile

    def merge(self, kept: str, other: str, actor: str) -> Profile:
        """Two persons are one. Raises as `ProfileStore.merge`."""
        record = self._records.merge(kept, other, actor)
        for user_id in {kept, other} - {record.user_id}:
            self._identities.rename(user_id, record.user_id)
            for face in self._faces.values():
                face.user_id = record.user_id if face.user_id == user_id else face.user_id
        if record.consent in REFUSALS:
            self._bar(record.user_id)
        self._assign()
        self._mark(record.user_id)
        return self._assembled(record, self.in_view.get(record.user_id, ""))

    def on_event(self, event: ProfileEvent) -> None:
        """To be called with each event of the store: what it deleted is deleted here, too."""
        if event.kind not in (EventKind.FORGOTTEN, EventKind.EXPIRED, EventKind.MERGED):
            return
        self._records.drop_copy(event.user_id)
        if self._suggestions is not None:
            self._suggestions.drop(event.user_id)
        self._given_out.pop(event.user_id, None)
        self._changed.discard(event.user_id)
        if event.kind is EventKind.FORGOTTEN:
            self._bar(event.user_id)
        if event.kind is EventKind.MERGED or event.consent in REFUSALS:
            return
        self._identities.forget(event.user_id)
        for face in self._faces.values():
            if face.user_id == event.user_id:
                face.unsaved, face.user_id = False, None
                if event.kind is EventKind.EXPIRED:
                    face.start_anew()

    def _assembled(self, record: ProfileRecord, face_id: str) -> Profile:
        return assemble(record, face_id, () if self._suggestions is None else self._suggestions.of(record))
