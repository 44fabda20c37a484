"""Settings of the profile store."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Days = Annotated[int, Meta(ge=1, le=36500)]


class RetentionSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long each class of data is kept after it was last renewed.

    Attributes:
        embeddings_days: embeddings of faces.
        demographics_days: age and gender.
        preferences_days: what a person likes and dislikes.
        interactions_days: what a person did with a content item.
        audit_days: who asked for what.
        users_days: whole profiles of persons not seen for so long.
        anonymous_minutes: profiles in memory of persons not seen for so long.
    """

    embeddings_days: Days = 365
    demographics_days: Days = 365
    preferences_days: Days = 730
    interactions_days: Days = 180
    audit_days: Days = 1095
    users_days: Days = 730
    anonymous_minutes: Annotated[float, Meta(gt=0.0, le=1440.0)] = 30.0


class StoreSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the database behaves.

    Attributes:
        retention: see there.
        embedding_dtype: how vectors are stored. float16 halves the file; it moves a cosine by less than 0.001.
        busy_timeout_s: how long a write waits for another process's lock.
    """

    retention: RetentionSettings = RetentionSettings()
    embedding_dtype: Literal["float16", "float32"] = "float16"
    busy_timeout_s: Annotated[float, Meta(ge=0.0, le=60.0)] = 3.0
