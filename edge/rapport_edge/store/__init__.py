"""The profile store: consent, profiles, search, retention, export and deletion over one SQLite file.

with ProfileStore(Path("profiles.db")) as store:
    store.observe("person_1f3a", estimate, encounter="1718000000/f3")
    store.set_consent("person_1f3a", Consent.GRANTED, actor="self", evidence="said yes")
"""

from rapport_edge.errors import StoreError
from rapport_edge.store.behaviour import BehaviourVersion
from rapport_edge.store.consent import REFUSALS, Consent
from rapport_edge.store.errors import (
    ConsentError,
    StoreBusyError,
    StoreCorruptError,
    StoreFullError,
    StoreReadOnlyError,
    StoreVersionError,
    UnknownUserError,
)
from rapport_edge.store.profiles import ProfileStore
from rapport_edge.store.reader import ProfileReader
from rapport_edge.store.records import (
    AgeInterval,
    AuditRecord,
    ConsentRecord,
    DemographicRecord,
    EventKind,
    ForgetResult,
    InteractionKind,
    InteractionRecord,
    Match,
    PreferenceRecord,
    PreferenceSource,
    ProfileEvent,
    ProfilePage,
    ProfileRecord,
    PurgeReport,
)
from rapport_edge.store.settings import RetentionSettings, StoreSettings

__all__ = [
    "REFUSALS",
    "AgeInterval",
    "AuditRecord",
    "BehaviourVersion",
    "Consent",
    "ConsentError",
    "ConsentRecord",
    "DemographicRecord",
    "EventKind",
    "ForgetResult",
    "InteractionKind",
    "InteractionRecord",
    "Match",
    "PreferenceRecord",
    "PreferenceSource",
    "ProfileEvent",
    "ProfilePage",
    "ProfileReader",
    "ProfileRecord",
    "ProfileStore",
    "PurgeReport",
    "RetentionSettings",
    "StoreBusyError",
    "StoreCorruptError",
    "StoreError",
    "StoreFullError",
    "StoreReadOnlyError",
    "StoreSettings",
    "StoreVersionError",
    "UnknownUserError",
]
