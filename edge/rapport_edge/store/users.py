"""Rows about who somebody is: the user, their aliases, their decisions."""

from __future__ import annotations

import msgspec
from sqlite_utils import Database

from rapport_edge.store.behaviour import preferences_of
from rapport_edge.store.consent import Consent
from rapport_edge.store.demographics import demographics_of
from rapport_edge.store.records import ConsentRecord, ProfileRecord


def insert_user(db: Database, user_id: str, consent: Consent, at: float) -> None:
    """Add a person who is seen for the first time."""
    db.execute(
        "INSERT INTO users (user_id, consent, created, first_seen, last_seen) VALUES (?, ?, ?, ?, ?)",
        [user_id, consent.value, at, at, at],
    )


def resolve(db: Database, user_id: str) -> str | None:
    """The id under which a person is stored: their own or, after a merge, the remaining one; None when unknown."""
    rows = db.query(
        "SELECT user_id FROM users WHERE user_id = :id UNION ALL SELECT user_id FROM aliases WHERE alias = :id LIMIT 1",
        {"id": user_id},
    )
    return next((str(row["user_id"]) for row in rows), None)


def touch(db: Database, user_id: str, at: float) -> None:
    """The person is seen now; a clock that was set back never moves `last_seen` back."""
    db.execute("UPDATE users SET last_seen = max(last_seen, ?) WHERE user_id = ?", [at, user_id])


def set_name(db: Database, user_id: str, name: str | None, languages: tuple[str, ...]) -> None:
    """Replace what a person told about themselves."""
    db.execute(
        "UPDATE users SET name = ?, languages = ? WHERE user_id = ?",
        [name, msgspec.json.encode(languages).decode(), user_id],
    )


def consent_of(db: Database, user_id: str) -> Consent:
    """The person's present decision; they must exist."""
    return Consent(next(iter(db.query("SELECT consent FROM users WHERE user_id = ?", [user_id])))["consent"])


def record_consent(db: Database, user_id: str, record: ConsentRecord) -> None:
    """Set a person's state and add it to their history, inside the caller's transaction."""
    db.execute("UPDATE users SET consent = ? WHERE user_id = ?", [record.consent.value, user_id])
    db.execute(
        "INSERT INTO consents (user_id, consent, actor, evidence, at) VALUES (?, ?, ?, ?, ?)",
        [user_id, record.consent.value, record.actor, record.evidence, record.at],
    )


def consent_history(db: Database, user_id: str) -> tuple[ConsentRecord, ...]:
    """A person's decisions in the order in which they were recorded."""
    rows = db.query("SELECT consent, actor, evidence, at FROM consents WHERE user_id = ? ORDER BY id", [user_id])
    return tuple(msgspec.convert(row, ConsentRecord) for row in rows)


def add_alias(db: Database, alias: str, user_id: str) -> None:
    """Let an id that ended lead to the one that remains."""
    db.execute("INSERT INTO aliases (alias, user_id) VALUES (?, ?)", [alias, user_id])


def aliases_of(db: Database, user_id: str) -> tuple[str, ...]:
    """Ids that were merged into this one."""
    return tuple(r["alias"] for r in db.query("SELECT alias FROM aliases WHERE user_id = ? ORDER BY alias", [user_id]))


def read_profile(db: Database, user_id: str, anonymous: bool) -> ProfileRecord:
    """Everything but biometrics and behaviour about a person who exists."""
    row = next(iter(db.query("SELECT * FROM users WHERE user_id = ?", [user_id])))
    return ProfileRecord(
        user_id=user_id,
        consent=Consent(row["consent"]),
        anonymous=anonymous,
        created=row["created"],
        first_seen=row["first_seen"],
        last_seen=row["last_seen"],
        name=row["name"],
        languages=msgspec.json.decode(row["languages"], type=tuple[str, ...]),
        demographics=demographics_of(db, user_id),
        preferences=preferences_of(db, user_id),
    )


def count_users(db: Database) -> int:
    """Number of persons."""
    return int(db.table("users").count)


def recent_users(db: Database, limit: int) -> list[tuple[float, str]]:
    """(last seen, id) of the persons seen most recently, newest first."""
    rows = db.query("SELECT last_seen, user_id FROM users ORDER BY last_seen DESC, user_id LIMIT ?", [limit])
    return [(row["last_seen"], row["user_id"]) for row in rows]
