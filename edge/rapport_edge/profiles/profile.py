"""A profile: what the robot may use about one person, assembled from the store's record and the face in view."""

from __future__ import annotations

import msgspec

from rapport_edge.store.consent import REFUSALS, Consent
from rapport_edge.store.records import DemographicRecord, PreferenceRecord, ProfileRecord

#: Attributes that a profile carries and speaks about. Race and ethnicity are left out whatever a bundle estimates:
#: inferring them from a face is prohibited for deployed systems in the EU (AI Act, Article 5(1)(g)).
PROFILE_ATTRIBUTES = ("age", "gender")


class Suggestion(msgspec.Struct, frozen=True, kw_only=True):
    """One content item at its place in a ranking for one person; `rank` 1 is the best, `score` is 0 to 1."""

    item_id: str
    title: str
    rank: int
    score: float
    reason: str = ""


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about one person and may be used.

    Attributes:
        user_id: unique, not a name (a person id of REP 155).
        face_id: the track that shows the person now; empty when out of sight.
        anonymous: True while nothing about the person is on the disk.
        name: only of who agreed to be remembered.
        demographics: at most one per attribute of `PROFILE_ATTRIBUTES`.
        preferences: strongest first.
        suggestions: best first.
        first_seen, last_seen: seconds since 1970.
        observations: encoded views that this profile rests on.
    """

    user_id: str
    face_id: str
    consent: Consent
    anonymous: bool
    first_seen: float
    last_seen: float
    observations: int
    name: str | None = None
    demographics: tuple[DemographicRecord, ...] = ()
    preferences: tuple[PreferenceRecord, ...] = ()
    suggestions: tuple[Suggestion, ...] = ()

    def demographic(self, attribute: str) -> DemographicRecord | None:
        """What is believed about one attribute, or None when it was not estimated."""
        return next((record for record in self.demographics if record.attribute == attribute), None)


def assemble(record: ProfileRecord, face_id: str, suggestions: tuple[Suggestion, ...] = ()) -> Profile:
    """The profile of one person.

    Who refused is not described, not even while in view; preferences and the name belong to who agreed.
    """
    refused, granted = record.consent in REFUSALS, record.consent is Consent.GRANTED
    allowed = () if refused else tuple(d for d in record.demographics if d.attribute in PROFILE_ATTRIBUTES)
    return Profile(
        user_id=record.user_id,
        face_id=face_id,
        consent=record.consent,
        anonymous=record.anonymous,
        first_seen=record.first_seen,
        last_seen=record.last_seen,
        observations=max((d.observations for d in allowed), default=0),
        name=record.name if granted else None,
        demographics=allowed,
        preferences=record.preferences if granted else (),
        suggestions=suggestions if granted else (),
    )
