"""From faces to persons to profiles, with the store behind it: the person manager of REP 155.

Evidence is taken at once and kept in memory; `take_changes` writes it to the store and gives out profiles. A store that
fails is counted, tried again later, and meanwhile profiles rest on what is in memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Annotated

import msgspec
import numpy as np

from rapport_edge.faces import DemographicEstimate
from rapport_edge.profiles.evidence import FaceEvidence, IdentityView, live_records
from rapport_edge.profiles.identity import Candidate, IdentityMap, IdentitySource
from rapport_edge.profiles.profile import Profile, assemble
from rapport_edge.profiles.store_calls import StoreCalls
from rapport_edge.store import REFUSALS, Consent, EventKind, Match, ProfileEvent, ProfileRecord, ProfileStore
from rapport_edge.store.records import Identified, checked

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


class PersonManager:
    """Keeps who is in view and what is known about them. Not thread-safe: its owner calls one method at a time.

    Args:
        store: the profile store; its events belong to `on_event`.
        identities: who is who.
        settings: see there.
        recogniser_digest: views of this face recogniser may name persons; None where nobody is to be recognised.
        clock: monotonic seconds.

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
    ) -> None:
        self._store = store
        self._identities = identities
        self._settings = settings
        self._recogniser_digest = recogniser_digest
        self._clock = clock
        self._faces: dict[str, FaceEvidence] = {}
        self._records: dict[str, ProfileRecord] = {}
        self._changed: set[str] = set()
        self._given_out: dict[str, float] = {}
        self.store_calls = StoreCalls(settings.retry_interval, clock)

    @property
    def in_view(self) -> dict[str, str]:
        """User id to face id."""
        return {face.user_id: face_id for face_id, face in self._faces.items() if face.user_id is not None}

    @property
    def unsaved(self) -> int:
        """Faces of which the store lacks something that it should have."""
        return sum(face.unsaved for face in self._faces.values())

    def observe(self, face_id: str, estimate: DemographicEstimate | None, view: IdentityView | None = None) -> None:
        """One more estimate of a face, and the view through the recogniser that came with it; either may be absent."""
        self.see([face_id])
        face = self._faces[face_id]
        if estimate is not None and face.breaks_with(estimate):
            self._break(face_id, face)
        if self._consent_of(face) in REFUSALS:
            face.bar()
        elif view is not None and view.model_digest == self._recogniser_digest:
            self._recognise(face_id, face, view)
        if estimate is not None:
            face.take(estimate)
        self._assign()
        if face.user_id is not None and face.user_id not in self._records:
            self._refresh(face.user_id)
        self._mark(face.user_id)

    def see(self, face_ids: Iterable[str]) -> None:
        """These faces are in view."""
        for face_id in face_ids:
            if face_id in self._faces:
                self._faces[face_id].seen = self._clock()
            else:
                self._faces[face_id] = FaceEvidence(self._clock())
                self._identities.see(face_id)

    def lose(self, face_ids: Iterable[str]) -> None:
        """These tracks ended; what they showed is written before they are forgotten."""
        for face_id in face_ids:
            face = self._faces.pop(face_id, None)
            if face is not None and face.user_id is not None:
                self._save(face)
                if face.estimate is None:
                    self._leave(face)
                else:
                    self._mark(face.user_id)
            self._identities.remove(face_id)
        self._assign()

    def match(self, face_id: str, user_id: str, confidence: float) -> None:
        """A candidate match of REP 155 between a face and a person, or into whom the person was merged.

        Raises:
            StoreError: the person's id has another form than ids of REP 155.
        """
        checked(Identified(user_id=user_id))
        if confidence > 0.0 or face_id in self._faces:
            known = self.store_calls.ask(lambda: self._store.find(user_id), None)
            self.see([face_id])
            self._identities.match(face_id, user_id if known is None else known.user_id, confidence)
            self._assign()

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
                self._save(face)
        profiles = [profile for user in due if (profile := self.profile(user)) is not None]
        self._given_out.update(dict.fromkeys((profile.user_id for profile in profiles), now))
        return profiles

    def profile(self, user_id: str) -> Profile | None:
        """A person's profile as it is now; None when nobody is known by this id."""
        record = self.store_calls.ask(lambda: self._store.find(user_id), self._records.get(user_id))
        if record is None:
            return None
        face_id = self.in_view.get(record.user_id, "")
        face = self._faces.get(face_id)
        if face is not None and face.unsaved and face.estimate is not None:
            live = live_records(face.estimate, record.last_seen)
            newer = {belief.attribute for belief in live}
            kept = tuple(d for d in record.demographics if d.attribute not in newer)
            record = msgspec.structs.replace(record, demographics=kept + live)
        return assemble(record, face_id)

    def profile_of_face(self, face_id: str) -> Profile | None:
        """The profile of who is seen in a face; None when the face is not in view."""
        face = self._faces.get(face_id)
        return None if face is None or face.user_id is None else self.profile(face.user_id)

    def set_consent(self, user_id: str, consent: Consent, actor: str, evidence: str) -> Profile:
        """Records a decision and acts on it before it returns. Raises as `ProfileStore.set_consent`."""
        record = self._store.set_consent(user_id, consent, actor, evidence)
        self._records[record.user_id] = record
        for face in self._faces.values():
            if face.user_id != record.user_id:
                continue
            if consent in REFUSALS:
                face.bar()
            elif consent is Consent.GRANTED:
                face.unsaved = face.estimate is not None or face.identity_views > 0
                self._save(face)
        self._mark(record.user_id)
        profile = self.profile(record.user_id)
        assert profile is not None
        return profile

    def merge(self, kept: str, other: str, actor: str) -> Profile:
        """Two persons are one. Raises as `ProfileStore.merge`."""
        record = self._store.merge(kept, other, actor)
        for user_id in {kept, other} - {record.user_id}:
            self._identities.rename(user_id, record.user_id)
            for face in self._faces.values():
                face.user_id = record.user_id if face.user_id == user_id else face.user_id
        if record.consent in REFUSALS:
            self._bar(record.user_id)
        self._records[record.user_id] = record
        self._assign()
        self._mark(record.user_id)
        return assemble(record, self.in_view.get(record.user_id, ""))

    def on_event(self, event: ProfileEvent) -> None:
        """To be called with each event of the store: what it deleted is deleted here, too."""
        if event.kind not in (EventKind.FORGOTTEN, EventKind.EXPIRED, EventKind.MERGED):
            return
        self._records.pop(event.user_id, None)
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

    def _bar(self, user_id: str) -> None:
        """Nothing that was seen of this person is kept, nor what perception goes on pooling with it."""
        for face in self._faces.values():
            if face.user_id == user_id:
                face.bar()

    def _recognise(self, face_id: str, face: FaceEvidence, view: IdentityView) -> None:
        """Looks for a known person, unless the face belongs to one already."""
        if self._is_stranger(face_id, face, view):
            return
        face.take_view(view)
        if self._consent_of(face) is not Consent.GRANTED:
            matches: list[Match] = self.store_calls.ask(
                lambda: self._store.candidates(view.embedding, view.model_digest, 2), []
            )
            self._identities.recognise(face_id, [Candidate(m.user_id, m.similarity) for m in matches])

    def _is_stranger(self, face_id: str, face: FaceEvidence, view: IdentityView) -> bool:
        """Whether a view does not belong to the track; enough of them in a row end the track's identity."""
        settings = self._identities.settings
        face.strangers = face.strangers + 1 if face.similarity(view) < settings.break_cosine else 0
        if face.strangers < settings.agreeing_views:
            return face.strangers > 0
        self._break(face_id, face)
        return False

    def _break(self, face_id: str, face: FaceEvidence) -> None:
        """From here on the track shows another person."""
        self._identities.break_identity(face_id)
        face.start_anew()
        self._assign()

    def _assign(self) -> None:
        """Gives faces to the persons that the evidence names now."""
        for face_id, identity in self._identities.identities().items():
            face = self._faces[face_id]
            if face.user_id == identity.user_id:
                continue
            self._leave(face)
            face.user_id = identity.user_id
            face.unsaved = face.estimate is not None
            if face.unsaved or identity.source is not IdentitySource.TRACK:
                self._refresh(identity.user_id)
                self._mark(identity.user_id)

    def _leave(self, face: FaceEvidence) -> None:
        """The face's person until now: one of this track alone is forgotten, because the person has another id."""
        old = face.user_id
        face.user_id = None
        record = None if old is None else self._records.get(old)
        if old is None or old in self.in_view:
            return
        if record is not None and record.consent is Consent.UNKNOWN and self._identities.is_own(old):
            self._forget_stranger(old)
        else:
            self._mark(old)

    def _forget_stranger(self, user_id: str) -> None:
        self.store_calls.ask(lambda: self._store.drop_stranger(user_id), False)

    def _refresh(self, user_id: str) -> None:
        """The person is in view: makes them known to the store, and keeps a copy of their record."""
        record = self.store_calls.ask(lambda: self._store.see(user_id), None)
        if record is None and user_id not in self._records:
            record = _stranger(user_id)
        if record is not None:
            known = self._records.get(user_id)
            self._records[user_id] = record
            if known is None:
                self._mark(user_id)

    def _save(self, face: FaceEvidence) -> None:
        """Writes what the store lacks of a face; a failure leaves it for a later attempt."""
        if face.unsaved and face.user_id is not None:
            user_id = face.user_id
            face.unsaved = not self.store_calls.write(lambda: self._write(face, user_id))

    def _write(self, face: FaceEvidence, user_id: str) -> None:
        if face.estimate is not None:
            self._records[user_id] = self._store.observe(user_id, face.estimate, face.encounter)
        if face.identity_sum is not None and self._teaches(user_id):
            mean = face.identity_sum.astype(np.float32)
            self._store.observe_embedding(user_id, face.identity_digest, mean, face.identity_views, face.encounter)

    def _teaches(self, user_id: str) -> bool:
        """Whether a face may teach the recogniser this person: only who said yes in this very track is learnt.

        A recognised person is not learnt again, or one mistake would make the next more likely.
        """
        record = self._records.get(user_id)
        return record is not None and record.consent is Consent.GRANTED and self._identities.is_own(user_id)

    def _consent_of(self, face: FaceEvidence) -> Consent:
        record = None if face.user_id is None else self._records.get(face.user_id)
        return Consent.UNKNOWN if record is None else record.consent

    def _mark(self, user_id: str | None) -> None:
        if user_id is not None:
            self._changed.add(user_id)


def _stranger(user_id: str) -> ProfileRecord:
    """A person about whom the store could not be asked."""
    now = time.time()
    return ProfileRecord(
        user_id=user_id, consent=Consent.UNKNOWN, anonymous=True, created=now, first_seen=now, last_seen=now
    )
