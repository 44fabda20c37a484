"""Who is who: which person a face track belongs to.

By default nobody is recognised, and each track is a person of its own. Two kinds of evidence say more:

- candidate matches of other nodes (REP 155, `/humans/candidate_matches`): they count from `match_threshold` on, a
  confidence of 0 ends them, and the highest confidence wins a conflict;
- views of a face recogniser: `agreeing_views` of them in a row must name the same person before the robot says so, and
  what was said holds until the track ends or its identity breaks.

One person has one face at a time, and one face shows one person.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated

import msgspec

Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]


class IdentitySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much evidence a name needs.

    Attributes:
        match_threshold: confidence, 0 to 1, from which a candidate match counts (REP 155: 0.5).
        recognition_margin: how much more similar the best person must be than the second best.
        agreeing_views: views in a row that must name the same person, or show somebody else than the track did.
        break_cosine: a view of the recogniser shows somebody else when its cosine with the track's mean is lower.
    """

    match_threshold: Share = 0.5
    recognition_margin: Share = 0.05
    agreeing_views: Annotated[int, msgspec.Meta(ge=1, le=100)] = 3
    break_cosine: Annotated[float, msgspec.Meta(ge=-1.0, le=1.0)] = 0.25


class IdentitySource(Enum):
    """Where an identity comes from."""

    TRACK = "track"
    MATCH = "candidate match"
    RECOGNITION = "recognition"


@dataclass(frozen=True, slots=True)
class Identity:
    """The person behind one face.

    Attributes:
        user_id: a person id of REP 155: unique, permanent, not a name.
        confidence: 0 to 1; 1 for a track's own person, because nothing is claimed about it.
    """

    user_id: str
    source: IdentitySource
    confidence: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """A known person that one view resembles; `similarity` is the cosine, -1 to 1."""

    user_id: str
    similarity: float


@dataclass(slots=True)
class _Face:
    """Evidence about one track."""

    own_id: str
    matches: dict[str, float] = field(default_factory=dict)
    voted: str | None = None
    votes: int = 0
    recognised: Identity | None = None


def new_person_id() -> str:
    """A random person id: a letter first, so that it may be part of a topic name, and no trace of who it is."""
    return f"person_{uuid.uuid4().hex[:12]}"


class IdentityMap:
    """Evidence about the faces in view, and who they are by it.

    Not thread-safe: its owner holds the lock.

    Args:
        recognition_threshold: cosine similarity from which one view names a person; each recogniser has its own.
        new_id: makes the id of a person never seen before.
    """

    def __init__(
        self,
        settings: IdentitySettings,
        recognition_threshold: float = 1.0,
        new_id: Callable[[], str] = new_person_id,
    ) -> None:
        self._settings = settings
        self._recognition_threshold = recognition_threshold
        self._new_id = new_id
        self._faces: dict[str, _Face] = {}

    @property
    def settings(self) -> IdentitySettings:
        """How much evidence a name needs."""
        return self._settings

    def see(self, face_id: str) -> None:
        """A face is in view; a new one becomes a person of its own."""
        if face_id not in self._faces:
            self._faces[face_id] = _Face(self._new_id())

    def remove(self, face_id: str) -> None:
        """The track ended; unknown ids are ignored."""
        self._faces.pop(face_id, None)

    def break_identity(self, face_id: str) -> None:
        """The track may show another person from now on: what was said about the old one no longer holds."""
        if face_id in self._faces:
            self._faces[face_id] = _Face(self._new_id())

    def match(self, face_id: str, user_id: str, confidence: float) -> None:
        """A candidate match of another node; a confidence of 0 ends the association.

        A face not seen yet is remembered too: matches and estimates travel on different topics.
        """
        if not 0.0 <= confidence <= 1.0:
            return
        self.see(face_id)
        matches = self._faces[face_id].matches
        if confidence > 0.0:
            matches[user_id] = confidence
        else:
            matches.pop(user_id, None)

    def recognise(self, face_id: str, candidates: Sequence[Candidate]) -> None:
        """One view was compared with the known persons; `candidates` holds the similar ones in any order."""
        self.see(face_id)
        face = self._faces[face_id]
        if face.recognised is not None:
            return
        named = self._named_by(face_id, candidates)
        face.votes = face.votes + 1 if named is not None and named.user_id == face.voted else int(named is not None)
        face.voted = None if named is None else named.user_id
        if named is not None and face.votes >= self._settings.agreeing_views:
            confidence = self._confidence(named.similarity)
            face.recognised = Identity(named.user_id, IdentitySource.RECOGNITION, confidence)

    def forget(self, user_id: str) -> None:
        """No face is this person any more; a track that was becomes a person of its own again."""
        for face in self._faces.values():
            face.matches.pop(user_id, None)
            if face.recognised is not None and face.recognised.user_id == user_id:
                face.recognised, face.voted, face.votes = None, None, 0
            if face.own_id == user_id:
                face.own_id = self._new_id()

    def rename(self, old_id: str, new_id: str) -> None:
        """Two persons turned out to be one: evidence for the old id counts for the new one."""
        for face in self._faces.values():
            if old_id in face.matches:
                face.matches[new_id] = max(face.matches.pop(old_id), face.matches.get(new_id, 0.0))
            if face.recognised is not None and face.recognised.user_id == old_id:
                face.recognised = Identity(new_id, face.recognised.source, face.recognised.confidence)
            if face.own_id == old_id:
                face.own_id = new_id

    def is_own(self, user_id: str) -> bool:
        """Whether a track in view has been this person from its beginning, by nobody's claim."""
        return any(face.own_id == user_id for face in self._faces.values())

    def identities(self) -> Mapping[str, Identity]:
        """Face id to person: claims by confidence, highest first, then each remaining face is its own person."""
        resolved: dict[str, Identity] = {}
        taken: set[str] = set()
        for face_id, claim in sorted(self._claims(), key=lambda item: -item[1].confidence):
            if face_id not in resolved and claim.user_id not in taken:
                resolved[face_id] = claim
                taken.add(claim.user_id)
        for face_id, face in self._faces.items():
            if face_id not in resolved:
                if face.own_id in taken:
                    face.own_id = self._new_id()
                resolved[face_id] = Identity(face.own_id, IdentitySource.TRACK, 1.0)
                taken.add(face.own_id)
        return resolved

    def _claims(self) -> list[tuple[str, Identity]]:
        claims = []
        for face_id, face in self._faces.items():
            if face.recognised is not None:
                claims.append((face_id, face.recognised))
            for user_id, confidence in face.matches.items():
                if confidence >= self._settings.match_threshold:
                    claims.append((face_id, Identity(user_id, IdentitySource.MATCH, confidence)))
        return claims

    def _named_by(self, face_id: str, candidates: Sequence[Candidate]) -> Candidate | None:
        """The one person that a view names, or None when nobody is similar enough or two persons are."""
        ranked = sorted(candidates, key=lambda c: -c.similarity)
        if not ranked or ranked[0].similarity < self._recognition_threshold:
            return None
        if len(ranked) > 1 and ranked[0].similarity - ranked[1].similarity < self._settings.recognition_margin:
            return None
        in_view = {i.user_id for other, i in self.identities().items() if other != face_id}
        return None if ranked[0].user_id in in_view else ranked[0]

    def _confidence(self, similarity: float) -> float:
        """Similarity on the scale of candidate matches: match_threshold at the recogniser's threshold, 1 at 1."""
        low, floor = self._recognition_threshold, self._settings.match_threshold
        share = (min(similarity, 1.0) - low) / (1.0 - low) if low < 1.0 else 1.0
        return floor + (1.0 - floor) * share
