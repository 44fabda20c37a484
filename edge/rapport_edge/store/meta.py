"""Facts about the database itself, as key and value."""

from __future__ import annotations

from sqlite_utils import Database


def get_meta(db: Database, key: str) -> str | None:
    """The value, or None."""
    return next((str(row["value"]) for row in db.query("SELECT value FROM meta WHERE key = ?", [key])), None)


def set_meta(db: Database, key: str, value: str | None) -> None:
    """Write a value, or remove it with None."""
    if value is None:
        db.execute("DELETE FROM meta WHERE key = ?", [key])
    else:
        db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", [key, value])
