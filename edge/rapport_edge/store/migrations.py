"""The schema, as numbered steps; each runs once, in a transaction of its own.

`PRAGMA user_version` is the number of steps applied, `PRAGMA application_id` marks the file as a profile database. A
released step never changes: a new one is added at the end, and `SCHEMA_VERSION` counts it.
"""

from __future__ import annotations

from sqlite_utils import Database, Migrations

#: "RPRT" in ASCII, in the file header at byte 68.
APPLICATION_ID = 0x52505254
SCHEMA_VERSION = 1

#: Tables whose rows belong to one user, in an order that satisfies foreign keys.
USER_TABLES = ("users", "aliases", "consents", "demographics", "embeddings", "preferences", "interactions")
#: All tables of the newest schema.
TABLES = frozenset({*USER_TABLES, "audit", "meta"})

migrations = Migrations("rapport_profiles")

_V1 = (
    """CREATE TABLE users (
        user_id TEXT PRIMARY KEY NOT NULL,
        consent TEXT NOT NULL CHECK (consent IN ('unknown', 'notified', 'granted', 'denied', 'withdrawn')),
        created REAL NOT NULL,
        first_seen REAL NOT NULL,
        last_seen REAL NOT NULL CHECK (last_seen >= first_seen),
        name TEXT,
        languages TEXT NOT NULL DEFAULT '[]')""",
    "CREATE INDEX users_last_seen ON users (last_seen)",
    """CREATE TABLE aliases (
        alias TEXT PRIMARY KEY NOT NULL,
        user_id TEXT NOT NULL REFERENCES users ON DELETE CASCADE ON UPDATE CASCADE)""",
    "CREATE INDEX aliases_user ON aliases (user_id)",
    """CREATE TABLE consents (
        id INTEGER PRIMARY KEY,
        user_id TEXT NOT NULL REFERENCES users ON DELETE CASCADE ON UPDATE CASCADE,
        consent TEXT NOT NULL,
        actor TEXT NOT NULL,
        evidence TEXT NOT NULL,
        at REAL NOT NULL)""",
    "CREATE INDEX consents_user ON consents (user_id)",
    """CREATE TABLE demographics (
        user_id TEXT NOT NULL REFERENCES users ON DELETE CASCADE ON UPDATE CASCADE,
        attribute TEXT NOT NULL,
        model_digest TEXT NOT NULL,
        encounter TEXT NOT NULL,
        labels TEXT NOT NULL,
        probabilities TEXT NOT NULL,
        observations REAL NOT NULL CHECK (observations > 0),
        known_observations REAL NOT NULL,
        age TEXT,
        updated REAL NOT NULL,
        PRIMARY KEY (user_id, attribute, model_digest, encounter))""",
    """CREATE TABLE embeddings (
        user_id TEXT NOT NULL REFERENCES users ON DELETE CASCADE ON UPDATE CASCADE,
        model_digest TEXT NOT NULL,
        encounter TEXT NOT NULL,
        vector BLOB NOT NULL,
        dtype TEXT NOT NULL CHECK (dtype IN ('float16', 'float32')),
        weight REAL NOT NULL CHECK (weight > 0),
        updated REAL NOT NULL,
        PRIMARY KEY (user_id, model_digest, encounter))""",
    "CREATE INDEX embeddings_model ON embeddings (model_digest)",
    """CREATE TABLE preferences (
        user_id TEXT NOT NULL REFERENCES users ON DELETE CASCADE ON UPDATE CASCADE,
        topic TEXT NOT NULL,
        strength REAL NOT NULL CHECK (strength BETWEEN -1 AND 1),
        confidence REAL NOT NULL CHECK (confidence BETWEEN 0 AND 1),
        source TEXT NOT NULL,
        evidence INTEGER NOT NULL,
        updated REAL NOT NULL,
        PRIMARY KEY (user_id, topic))""",
    """CREATE TABLE interactions (
        id INTEGER PRIMARY KEY,
        user_id TEXT NOT NULL REFERENCES users ON DELETE CASCADE ON UPDATE CASCADE,
        item_id TEXT NOT NULL,
        kind TEXT NOT NULL,
        duration REAL NOT NULL,
        label REAL,
        at REAL NOT NULL)""",
    "CREATE INDEX interactions_user ON interactions (user_id, at)",
    """CREATE TABLE audit (
        id INTEGER PRIMARY KEY,
        at REAL NOT NULL,
        actor TEXT NOT NULL,
        action TEXT NOT NULL,
        user_id TEXT NOT NULL,
        outcome TEXT NOT NULL)""",
    "CREATE INDEX audit_at ON audit (at)",
    "CREATE TABLE meta (key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL)",
)


@migrations()
def v1_profiles(db: Database) -> None:
    """Users, what is known about them, the audit log."""
    for statement in _V1:
        db.execute(statement)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute("PRAGMA user_version = 1")
