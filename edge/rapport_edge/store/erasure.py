"""Deleting so that nothing remains in the file.

`secure_delete` overwrites deleted rows, but pages that were rearranged earlier may hold old copies: VACUUM writes the
file anew from the rows that exist. Both leave old pages in the write-ahead log, so the log is emptied last. What a
flash chip keeps in worn-out cells is out of reach of any program: encrypt the disk for that.
"""

from __future__ import annotations

import sqlite3

from sqlite_utils import Database

from rapport_edge.store.meta import get_meta, set_meta
from rapport_edge.store.migrations import USER_TABLES

_PENDING = "erasure_pending"


def delete_user(db: Database, user_id: str) -> int:
    """Delete all rows of a person and note that their traces have to go, inside the caller's transaction.

    Returns:
        How many rows there were.
    """
    rows = 0
    for table in reversed(USER_TABLES):
        rows += db.execute(f"DELETE FROM {table} WHERE user_id = ?", [user_id]).rowcount
    if rows:
        mark_for_erasure(db)
    return rows


def mark_for_erasure(db: Database) -> None:
    """Note, in the transaction that deletes, that traces have to go; the note survives a crash."""
    set_meta(db, _PENDING, "1")


def erase_traces(db: Database) -> bool:
    """Rewrite the file and empty the write-ahead log where a deletion asks for it, outside of any transaction.

    Returns:
        False when it could not be finished, because somebody reads the file or the disk is full; call again later.
    """
    if get_meta(db, _PENDING) is None:
        return True
    if not compact(db):
        return False
    set_meta(db, _PENDING, None)
    return True


def compact(db: Database) -> bool:
    """Write the file anew without free space; False when another process or a full disk is in the way."""
    try:
        db.vacuum()
        busy = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except sqlite3.OperationalError as error:
        if any(word in str(error) for word in ("full", "locked", "busy")):
            return False
        raise
    return not busy
