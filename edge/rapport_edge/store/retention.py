"""Deleting what has been kept long enough, by class of data."""

from __future__ import annotations

import msgspec
from sqlite_utils import Database

from rapport_edge.store.erasure import delete_user, mark_for_erasure
from rapport_edge.store.meta import get_meta, set_meta
from rapport_edge.store.records import PurgeReport
from rapport_edge.store.settings import RetentionSettings

DAY = 86400.0
#: A clock that went on by more than this since the last purge is not believed at once.
MAX_LEAP = 2 * DAY
#: It is believed after purges that span this much of the new time.
PROOF = DAY
_BELIEVED = "last_purge"
_PROOF = "clock_proof"

_CLASSES = {
    "embeddings": "updated",
    "demographics": "updated",
    "preferences": "updated",
    "interactions": "at",
    "audit": "at",
}


def clock_leapt(db: Database, now: float) -> bool:
    """Whether the clock went on by days since the last purge and has not proven itself yet; remembers `now`.

    A robot that was switched off for a week and a clock that is wrong by years look alike. So the new time has to pass
    for a day, in steps from purge to purge, however many starts lie between them: further leaps do not count, and a
    clock that goes back begins anew. That delays a robot which rests for days by a day of running, and saves one with
    a wrong clock all its profiles.
    """
    believed, proof = get_meta(db, _BELIEVED), get_meta(db, _PROOF)
    if believed is not None and now - float(believed) > MAX_LEAP:
        last, proven = msgspec.json.decode(proof, type=tuple[float, float]) if proof else (now, 0.0)
        step = now - last
        proven = 0.0 if step < 0.0 else proven + (step if step <= MAX_LEAP else 0.0)
        if proven < PROOF:
            set_meta(db, _PROOF, msgspec.json.encode((now, proven)).decode())
            return True
    set_meta(db, _BELIEVED, repr(now))
    set_meta(db, _PROOF, None)
    return False


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
