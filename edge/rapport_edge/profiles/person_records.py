"""What is known about the persons in view: asked of the store, and kept as copies for when it does not answer."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from rapport_edge.profiles.evidence import FaceEvidence, IdentityView
from rapport_edge.profiles.identity import Candidate
from rapport_edge.profiles.store_calls import StoreCalls
from rapport_edge.store import Consent, Match, ProfileRecord, ProfileStore


class PersonRecords:
    """Reads and writes persons by their ids; what fails is counted in `calls` and answered from the copies.

    Args:
        store: the profile store.
        calls: how it fares.
        is_own: whether a track in view has been this person from its beginning, by nobody's claim.
    """

    def __init__(self, store: ProfileStore, calls: StoreCalls, is_own: Callable[[str], bool]) -> None:
        self._store = store
        self._calls = calls
        self._is_own = is_own
        self._copies: dict[str, ProfileRecord] = {}

    def __contains__(self, user_id: object) -> bool:
        """Whether there is a copy."""
        return user_id in self._copies

    def find(self, user_id: str) -> ProfileRecord | None:
        """The newest record that can be had; None when nobody is known by this id."""
        return self._calls.ask(lambda: self._store.find(user_id), self._copies.get(user_id))

    def current_id(self, user_id: str) -> str:
        """The id of the person, or of the one into whom they were merged."""
        known = self._calls.ask(lambda: self._store.find(user_id), None)
        return user_id if known is None else known.user_id

    def consent_of(self, user_id: str | None) -> Consent:
        """By the copy; unknown where there is none."""
        record = None if user_id is None else self._copies.get(user_id)
        return Consent.UNKNOWN if record is None else record.consent

    def see(self, user_id: str) -> bool:
        """Makes a person in view known to the store and renews the copy; True when there was none before."""
        record = self._calls.ask(lambda: self._store.see(user_id), None)
        is_new = user_id not in self._copies
        if record is None and is_new:
            record = _unasked(user_id)
        if record is not None:
            self._copies[user_id] = record
        return is_new

    def candidates(self, view: IdentityView) -> list[Candidate]:
        """The two persons with consent whom a view resembles most."""
        nobody: list[Match] = []
        matches = self._calls.ask(lambda: self._store.candidates(view.embedding, view.model_digest, 2), nobody)
        return [Candidate(match.user_id, match.similarity) for match in matches]

    def save(self, face: FaceEvidence) -> None:
        """Writes what the store lacks of a face; a failure leaves it for a later attempt."""
        if face.unsaved and face.user_id is not None:
            user_id = face.user_id
            face.unsaved = not self._calls.write(lambda: self._write(face, user_id))

    def set_consent(self, user_id: str, consent: Consent, actor: str, evidence: str) -> ProfileRecord:
        """Records a decision. Raises as `ProfileStore.set_consent`."""
        return self._keep(self._store.set_consent(user_id, consent, actor, evidence))

    def merge(self, kept: str, other: str, actor: str) -> ProfileRecord:
        """Two persons are one. Raises as `ProfileStore.merge`."""
        return self._keep(self._store.merge(kept, other, actor))

    def drop_stranger(self, user_id: str) -> None:
        """Nobody is this anonymous person any more."""
        self._calls.ask(lambda: self._store.drop_stranger(user_id), False)

    def drop_copy(self, user_id: str) -> None:
        """The store has deleted this person."""
        self._copies.pop(user_id, None)

    def _keep(self, record: ProfileRecord) -> ProfileRecord:
        self._copies[record.user_id] = record
        return record

    def _write(self, face: FaceEvidence, user_id: str) -> None:
        if face.estimate is not None:
            self._copies[user_id] = self._store.observe(user_id, face.estimate, face.encounter)
        if face.identity_sum is not None and self._teaches(user_id):
            mean = face.identity_sum.astype(np.float32)
            self._store.observe_embedding(user_id, face.identity_digest, mean, face.identity_views, face.encounter)

    def _teaches(self, user_id: str) -> bool:
        """Whether a face may teach the recogniser this person: only who said yes in this very track is learnt.

        A recognised person is not learnt again, or one mistake would make the next more likely.
        """
        return self.consent_of(user_id) is Consent.GRANTED and self._is_own(user_id)


def _unasked(user_id: str) -> ProfileRecord:
    """A person about whom the store could not be asked."""
    now = time.time()
    return ProfileRecord(
        user_id=user_id, consent=Consent.UNKNOWN, anonymous=True, created=now, first_seen=now, last_seen=now
    )
