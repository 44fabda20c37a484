"""Deleting what has been kept long enough, by class of data."""

from __future__ import annotations

import msgspec
from sqlite_utils import Database

from rapport_edge.store.erasure import delete_user, mark_for_erasure
from rapport_edge.store.meta import get_meta, set_meta
from rapport_edge.store.records import PurgeReport
from rapport_edge.store.settings import RetentionSettings

DAY = 86400.0
#: A clock that went on by more than this since the last purge has to say so twice before anything is deleted.
MAX_LEAP = 2 * DAY
_LAST_PURGE = "last_purge"

_CLASSES = {
    "embeddings": "updated",
    "demographics": "updated",
    "preferences": "updated",
    "interactions": "at",
    "audit": "at",
}


def clock_leapt(db: Database, now: float) -> bool:
    """Whether the clock went on by days since the last purge; remembers `now` for the next one.

    A robot that was switched off for a week and a clock that is wrong by years look alike. Waiting for a second opinion
    costs the first an hour and saves the second all its profiles.
    """
    last = get_meta(db, _LAST_PURGE)
    set_meta(db, _LAST_PURGE, repr(now))
    return last is not None and now - float(last) > MAX_LEAP


def expired_users(db: Database, before: float) -> list[str]:
    """Persons not seen since `before`."""
    return [str(row["user_id"]) for row in db.query("SELECT user_id FROM users WHERE last_seen < ?", [before])]


def delete_expired(db: Database, retention: RetentionSettings, now: float) -> tuple[PurgeReport, list[str], set[str]]:
    """Delete what is too old, inside the caller's transaction.

    Returns:
        Rows deleted per class, persons deleted as a whole, and persons who remain but lost something.
    """
    gone = expired_users(db, now - retention.users_days * DAY)
    for user_id in gone:
        delete_user(db, user_id)
    counts = {"users": len(gone)}
    touched: set[str] = set()
    for table, column in _CLASSES.items():
        before = now - getattr(retention, f"{table}_days") * DAY
        rows = db.execute(f"DELETE FROM {table} WHERE {column} < ? RETURNING user_id", [before]).fetchall()
        counts[table] = len(rows)
        if table != "audit":
            touched.update(row[0] for row in rows)
    if any(counts.values()):
        mark_for_erasure(db)
    return msgspec.convert(counts, PurgeReport), gone, touched
