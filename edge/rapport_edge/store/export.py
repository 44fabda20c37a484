"""Everything about one person as one JSON document (GDPR, Articles 15 and 20)."""

from __future__ import annotations

from pathlib import Path

import msgspec
from sqlite_utils import Database

from rapport_edge.atomic import write_atomically
from rapport_edge.store.audit import read_audit
from rapport_edge.store.behaviour import interactions_of
from rapport_edge.store.connection import translated
from rapport_edge.store.demographics import all_demographics_of
from rapport_edge.store.embeddings import embeddings_of
from rapport_edge.store.records import (
    AuditRecord,
    ConsentRecord,
    DemographicRecord,
    EmbeddingRecord,
    InteractionRecord,
    ProfileRecord,
)
from rapport_edge.store.users import aliases_of, consent_history, read_profile


class ProfileExport(msgspec.Struct, frozen=True, kw_only=True):
    """The document. Times are seconds since the Unix epoch, vectors are of unit length.

    Attributes:
        all_demographics: also of models that are no longer in use.
        audit: who asked for something about this person.
    """

    format: str = "rapport-profile-export"
    version: int = 1
    exported_at: float
    profile: ProfileRecord
    aliases: tuple[str, ...]
    consent_history: tuple[ConsentRecord, ...]
    all_demographics: tuple[DemographicRecord, ...]
    embeddings: tuple[EmbeddingRecord, ...]
    interactions: tuple[InteractionRecord, ...]
    audit: tuple[AuditRecord, ...]


def export_user(db: Database, audit_db: Database, user_id: str, anonymous: bool, at: float) -> ProfileExport:
    """Collect everything about a person who exists."""
    return ProfileExport(
        exported_at=at,
        profile=read_profile(db, user_id, anonymous),
        aliases=aliases_of(db, user_id),
        consent_history=consent_history(db, user_id),
        all_demographics=all_demographics_of(db, user_id),
        embeddings=embeddings_of(db, user_id),
        interactions=interactions_of(db, user_id),
        audit=read_audit(audit_db, user_id, limit=-1),
    )


def export_json(export: ProfileExport) -> bytes:
    """The document as indented UTF-8 JSON."""
    return msgspec.json.format(msgspec.json.encode(export), indent=2)


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read; a reader sees the old file or the whole new one.

    Raises:
        StoreError: the folder cannot be written or the disk is full.
    """
    with translated(path):
        write_atomically(path, content, mode=0o600)
