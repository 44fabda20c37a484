"""Profiles and events of rapport_edge as messages of rapport_msgs; everything here is a pure function."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

from std_msgs.msg import Header

from rapport_edge.profiles.profile import Profile, Suggestion
from rapport_edge.profiles.summary import summarise
from rapport_edge.ranking import Item, RankedItem, RankingError
from rapport_edge.store.consent import Consent
from rapport_edge.store.records import (
    DemographicRecord,
    PreferenceRecord,
    ProfileEvent,
)
from rapport_msgs import msg
from rapport_ros.conversions import AGE, floats, seconds_to_stamp

CONSENT_TO_MESSAGE: Mapping[Consent, int] = MappingProxyType(
    {consent: getattr(msg.UserProfile, f"CONSENT_{consent.name}") for consent in Consent}
)
CONSENT_FROM_MESSAGE: Mapping[int, Consent] = MappingProxyType({v: k for k, v in CONSENT_TO_MESSAGE.items()})


def profile_message(profile: Profile, header: Header) -> msg.UserProfile:
    """What dialogue nodes read: the profile, its paragraph, no embeddings.

    Args:
        header: of the image behind the newest change.
    """
    return msg.UserProfile(
        header=header,
        user_id=profile.user_id,
        face_id=profile.face_id,
        consent=CONSENT_TO_MESSAGE[profile.consent],
        anonymous=profile.anonymous,
        demographics=_demographics_message(profile, header),
        preferences=[_preference_message(preference) for preference in profile.preferences],
        summary=summarise(profile),
        suggestions=[_suggestion_message(suggestion) for suggestion in profile.suggestions],
        first_seen=seconds_to_stamp(profile.first_seen),
        last_seen=seconds_to_stamp(profile.last_seen),
        observations=profile.observations,
    )


def event_message(event: ProfileEvent) -> msg.ProfileEvent:
    """An event of the store, stamped with when it happened."""
    message = msg.ProfileEvent(
        kind=getattr(msg.ProfileEvent, event.kind.name),
        user_id=event.user_id,
        other_user_id=event.other_user_id,
        consent=CONSENT_TO_MESSAGE[event.consent],
    )
    message.header.stamp = seconds_to_stamp(event.at)
    return message


def ranked_message(ranked: RankedItem) -> msg.RankedItem:
    """An item at its place in a ranking."""
    return msg.RankedItem(
        item_id=ranked.id, title=ranked.title, rank=ranked.rank, score=ranked.score, reason=ranked.reason
    )


def candidate_item(message: msg.ContentItem) -> Item:
    """What a ranker takes of a content item: categories and language fill the item fields "category" and "language".

    A bundle that has no such field does without. For fields that the message leaves empty or does not have, those of
    the bundle's catalogue hold.

    Raises:
        RankingError: for an item without id.
    """
    if not message.id:
        raise RankingError(f"an item has no id (its title is {message.title!r}); ids tell candidates apart")
    given = {"category": tuple(message.categories), "language": (message.language,) if message.language else ()}
    fields = {name: values for name, values in given.items() if values}
    return Item(id=message.id, title=message.title, fields=fields)


def _demographics_message(profile: Profile, header: Header) -> msg.DemographicEstimate:
    message = msg.DemographicEstimate(header=header, face_id=profile.face_id, observations=profile.observations)
    message.age_mean = message.age_std = message.age_low = message.age_high = math.nan
    for record in profile.demographics:
        message.model_digest = record.model_digest
        if record.attribute == AGE:
            _fill_age(message, record)
        else:
            message.attributes = [*message.attributes, _attribute_message(record)]
    return message


def _fill_age(message: msg.DemographicEstimate, record: DemographicRecord) -> None:
    message.age = _attribute_message(record)
    if record.age is None:
        return
    message.age_known = record.label is not None
    message.age_mean, message.age_std = record.age.mean, record.age.std
    message.age_low, message.age_high = record.age.low, record.age.high


def _attribute_message(record: DemographicRecord) -> msg.Attribute:
    return msg.Attribute(
        name=record.attribute,
        labels=list(record.labels),
        probabilities=floats(record.probabilities),
        known=record.label is not None,
        label=record.label or "",
        confidence=record.confidence,
    )


def _preference_message(record: PreferenceRecord) -> msg.Preference:
    return msg.Preference(
        topic=record.topic,
        strength=record.strength,
        confidence=record.confidence,
        source=getattr(msg.Preference, f"SOURCE_{record.source.name}"),
        evidence=record.evidence,
        updated=seconds_to_stamp(record.updated or 0.0),
    )


def _suggestion_message(suggestion: Suggestion) -> msg.RankedItem:
    return msg.RankedItem(
        item_id=suggestion.item_id,
        title=suggestion.title,
        rank=suggestion.rank,
        score=suggestion.score,
        reason=suggestion.reason,
    )
