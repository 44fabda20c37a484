"""The audit log: who asked for what, about whom, when, and what came of it.

It holds ids, never names, biometrics or contents. An id is random, so after its person is forgotten it leads nowhere.
"""

from __future__ import annotations

import msgspec
from sqlite_utils import Database

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
