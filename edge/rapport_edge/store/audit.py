"""The audit log: who asked for what, about whom, when, and what came of it.

It holds ids, never names, biometrics or contents. An id is random, so after its person is forgotten it leads nowhere.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from sqlite_utils import Database

from rapport_edge.store.connection import open_beside_owner, transaction, translated
from rapport_edge.store.records import AuditRecord


def append_audit(db: Database, record: AuditRecord) -> None:
    """Add one entry."""
    db.execute(
        "INSERT INTO audit (at, actor, action, user_id, outcome) VALUES (?, ?, ?, ?, ?)",
        [record.at, record.actor, record.action, record.user_id, record.outcome],
    )


def read_audit(db: Database, user_id: str | None = None, limit: int = 100, offset: int = 0) -> tuple[AuditRecord, ...]:
    """Entries, newest first; of one person where `user_id` is given. `limit` -1 stands for all."""
    rows = db.query(
        "SELECT at, actor, action, user_id, outcome FROM audit WHERE :id IS NULL OR user_id = :id "
        "ORDER BY id DESC LIMIT :limit OFFSET :offset",
        {"id": user_id, "limit": limit, "offset": offset},
    )
    return tuple(msgspec.convert(row, AuditRecord) for row in rows)


def append_from_outside(path: Path, record: AuditRecord, busy_timeout_s: float = 3.0) -> None:
    """Add one entry while another process owns the database; the only thing that others may write.

    Raises:
        StoreError: no such database, or it cannot be written.
    """
    db = open_beside_owner(path, busy_timeout_s)
    try:
        with translated(path), transaction(db):
            append_audit(db, record)
    finally:
        db.close()
