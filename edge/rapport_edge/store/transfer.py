"""Moving a person between the database in memory and the one on the disk."""

from __future__ import annotations

from sqlite_utils import Database

from rapport_edge.store.migrations import USER_TABLES


def copy_user(source: Database, target: Database, user_id: str) -> None:
    """Copy all rows of a person, inside the caller's transaction on `target`; row numbers are given anew."""
    for table in USER_TABLES:
        for row in source.query(f"SELECT * FROM {table} WHERE user_id = ?", [user_id]):
            row.pop("id", None)
            names = ", ".join(row)
            marks = ", ".join("?" * len(row))
            target.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(row.values()))
