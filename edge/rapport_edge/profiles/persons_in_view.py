"""Which persons are in view: each face's evidence, and the person to whom it belongs by what is known now."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from rapport_edge.faces import DemographicEstimate
from rapport_edge.profiles.evidence import FaceEvidence, IdentityView
from rapport_edge.profiles.identity import IdentityMap, IdentitySource
from rapport_edge.profiles.person_records import PersonRecords
from rapport_edge.store import REFUSALS, Consent
from rapport_edge.store.records import Identified, checked


class PersonsInView:
    """Takes evidence about faces, and notes whose profile it changed. Not thread-safe.

    Args:
        records: what is known about persons.
        identities: who is who.
        recogniser_digest: views of this face recogniser may name persons; None where nobody is to be recognised.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        records: PersonRecords,
        identities: IdentityMap,
        recogniser_digest: str | None,
        clock: Callable[[], float],
    ) -> None:
        self._records = records
        self._identities = identities
        self._recogniser_digest = recogniser_digest
        self._clock = clock
        self._faces: dict[str, FaceEvidence] = {}
        self._changed: set[str] = set()

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
        if self._records.consent_of(face.user_id) in REFUSALS:
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
                self._records.save(face)
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
            current_id = self._records.current_id(user_id)
            self.see([face_id])
            self._identities.match(face_id, current_id, confidence)
            self._assign()

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
        if self._records.consent_of(face.user_id) is not Consent.GRANTED:
            self._identities.recognise(face_id, self._records.candidates(view))

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
        old, face.user_id = face.user_id, None
        if old is None or old in self.in_view:
            return
        is_anonymous = old in self._records and self._records.consent_of(old) is Consent.UNKNOWN
        if is_anonymous and self._identities.is_own(old):
            self._records.drop_stranger(old)
        else:
            self._mark(old)

    def _refresh(self, user_id: str) -> None:
        """The person is in view; who was not known before has a profile to give out."""
        if self._records.see(user_id):
            self._mark(user_id)

    def _mark(self, user_id: str | None) -> None:
        if user_id is not None:
            self._changed.add(user_id)
