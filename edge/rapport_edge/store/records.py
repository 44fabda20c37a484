"""What goes into the profile store and what comes out of it, as typed values.

Times are seconds since the Unix epoch. The constraints in the annotations hold for everything that the store accepts:
`checked` enforces them.
"""

from __future__ import annotations

from enum import Enum
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from rapport_edge.errors import StoreError
from rapport_edge.store.consent import Consent

#: An id of REP 155: a letter first, then letters, digits and underscores, so that it may be part of a topic name.
UserId = Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9_]*\Z", max_length=64)]
ShortText = Annotated[str, Meta(min_length=1, max_length=200)]
Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Count = Annotated[int, Meta(ge=0)]

T = TypeVar("T", bound=msgspec.Struct)


class PreferenceSource(Enum):
    """How a preference became known."""

    UNKNOWN = "unknown"
    STATED = "stated"
    BEHAVIOUR = "behaviour"
    WRITTEN = "written"
    IMPORTED = "imported"


class InteractionKind(Enum):
    """What a person did with a content item."""

    SHOWN = "shown"
    OPENED = "opened"
    FINISHED = "finished"
    SKIPPED = "skipped"
    LIKED = "liked"
    DISLIKED = "disliked"


class EventKind(Enum):
    """What happened to a profile."""

    CREATED = "created"
    UPDATED = "updated"
    CONSENT_CHANGED = "consent_changed"
    FORGOTTEN = "forgotten"
    MERGED = "merged"
    EXPIRED = "expired"
    EXPORTED = "exported"


class AgeInterval(msgspec.Struct, frozen=True, kw_only=True):
    """An age in years: mean, standard deviation, and the central 80 % interval."""

    mean: float
    std: float
    low: float
    high: float


class DemographicRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is believed about one attribute after all encounters under one model.

    Attributes:
        probabilities: one per label, sum to 1.
        label: the most probable label, or None where the answer is "unknown".
        confidence: probability of the most probable label.
        uncertainty: entropy over its maximum: 0 (certain) to 1 (no idea).
        observations: encodings behind it.
        model_digest: SHA-256 of the encoder's ONNX file.
        age: only for the attribute "age".
    """

    attribute: str
    labels: tuple[str, ...]
    probabilities: tuple[float, ...]
    label: str | None
    confidence: float
    uncertainty: float
    observations: int
    model_digest: str
    updated: float
    age: AgeInterval | None = None


class EmbeddingRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A person's unit vector under one model; never to be compared with one of another digest."""

    model_digest: str
    vector: tuple[float, ...]
    weight: float
    updated: float


class PreferenceRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a person likes or dislikes.

    Attributes:
        strength: -1 (dislikes) to 1 (likes).
        evidence: statements or interactions that it rests on.
        updated: when; None on the way in stands for now.
    """

    topic: ShortText
    strength: Annotated[float, Meta(ge=-1.0, le=1.0)]
    confidence: Share
    source: PreferenceSource = PreferenceSource.UNKNOWN
    evidence: Count = 1
    updated: float | None = None


class InteractionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a person did with one content item.

    Attributes:
        duration: seconds spent with the item.
        label: what an interest model learns from, 0 (no interest) to 1; None when nothing was labelled.
        at: when; None on the way in, or what is not yet, stands for now.
    """

    item_id: ShortText
    kind: InteractionKind
    duration: Annotated[float, Meta(ge=0.0)] = 0.0
    label: Share | None = None
    at: float | None = None


class ConsentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A decision: what, who said so, how it was said, when."""

    consent: Consent
    actor: str
    evidence: str
    at: float


class ProfileRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One person, without biometrics.

    Attributes:
        user_id: unique, permanent, not a name.
        anonymous: True while nothing about the person is on the disk.
        languages: BCP 47 tags, best first; like the name, kept only with consent.
        demographics: one per attribute, of the model that saw the person last.
        preferences: strongest first.
    """

    user_id: str
    consent: Consent
    anonymous: bool
    created: float
    first_seen: float
    last_seen: float
    name: str | None = None
    languages: tuple[str, ...] = ()
    demographics: tuple[DemographicRecord, ...] = ()
    preferences: tuple[PreferenceRecord, ...] = ()

    @property
    def observations(self) -> int:
        """Encodings behind the best founded attribute."""
        return max((record.observations for record in self.demographics), default=0)


class ProfilePage(msgspec.Struct, frozen=True, kw_only=True):
    """Some profiles, the most recently seen first, and how many there are in all."""

    profiles: tuple[ProfileRecord, ...]
    total: int


class ProfileEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something happened to a profile; who keeps copies acts on it.

    Attributes:
        consent: after the event.
        other_user_id: only for MERGED: the profile that remains.
    """

    kind: EventKind
    user_id: str
    at: float
    consent: Consent = Consent.UNKNOWN
    other_user_id: str = ""
    detail: str = ""


class AuditRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Who asked for what, when, and what came of it; never biometrics, names or contents."""

    at: float
    actor: str
    action: str
    user_id: str
    outcome: str


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """A person whose embedding resembles the one asked for; `similarity` is the cosine, -1 to 1."""

    user_id: str
    similarity: float


class ForgetResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a deletion did.

    Attributes:
        rows: deleted rows.
        traces_erased: False when the rows are gone but their bytes could not be overwritten yet, because another
            process is reading the file or the disk is full; the store tries again at its next start or purge.
    """

    rows: int
    traces_erased: bool


class PurgeReport(msgspec.Struct, frozen=True, kw_only=True):
    """Rows that retention deleted, by class of data.

    Attributes:
        deferred: True when nothing was deleted because the clock had leapt ahead; a later purge does it, once a day of
            the new time has passed.
    """

    embeddings: int = 0
    demographics: int = 0
    preferences: int = 0
    interactions: int = 0
    audit: int = 0
    users: int = 0
    anonymous: int = 0
    deferred: bool = False


class Identified(msgspec.Struct, frozen=True, kw_only=True):
    """An id that somebody chose for a new person."""

    user_id: UserId


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """What an estimate belongs to: a stay in view, and the model that looked."""

    encounter: ShortText
    model_digest: ShortText


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """What a person told about themselves."""

    name: ShortText | None
    languages: Annotated[tuple[Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]{2,35}\Z")], ...], Meta(max_length=20)]


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks for something, and why they may."""

    actor: ShortText
    evidence: Annotated[str, Meta(max_length=500)] = ""


def checked(record: T) -> T:
    """Enforce a record's constraints, which msgspec checks on decoding only.

    Raises:
        StoreError: naming the field and the rule.
    """
    try:
        return msgspec.convert(msgspec.to_builtins(record), type(record))
    except msgspec.ValidationError as error:
        raise StoreError(f"the store refuses this {type(record).__name__}: {error}") from error
