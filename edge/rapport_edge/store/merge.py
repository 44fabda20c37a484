"""Two profiles turn out to be one person.

Rules, within the caller's transaction and one database:
- the older id remains, the other becomes an alias of it;
- consent: an answer beats no answer, and a no beats a yes;
- first seen is the earlier, last seen the later;
- name: that of the remaining id, or else the other's; languages of both, the remaining id's first;
- demographics and embeddings of the other are pooled into the settled evidence, per model;
- preferences: per topic the newer one, with the evidence of both; behaviour and decisions of both.
"""

from __future__ import annotations

from sqlite_utils import Database

from rapport_edge.store.behaviour import absorb_preferences
from rapport_edge.store.consent import stronger
from rapport_edge.store.demographics import absorb_demographics
from rapport_edge.store.embeddings import absorb_embeddings
from rapport_edge.store.records import ProfileRecord
from rapport_edge.store.users import add_alias, read_profile, set_name


def older_first(first: ProfileRecord, second: ProfileRecord) -> tuple[ProfileRecord, ProfileRecord]:
    """(the one that remains, the one that ends)."""
    kept, gone = sorted((first, second), key=lambda profile: (profile.created, profile.user_id))
    return kept, gone


def merge_users(db: Database, kept: str, gone: str, dtype: str) -> None:
    """Make two users one, by the rules above."""
    mine, theirs = read_profile(db, kept, False), read_profile(db, gone, False)
    absorb_demographics(db, kept, gone)
    absorb_embeddings(db, kept, gone, dtype)
    absorb_preferences(db, kept, gone)
    for table in ("interactions", "consents", "aliases"):
        db.execute(f"UPDATE {table} SET user_id = ? WHERE user_id = ?", [kept, gone])
    db.execute(
        "UPDATE users SET first_seen = ?, last_seen = ?, consent = ? WHERE user_id = ?",
        [
            min(mine.first_seen, theirs.first_seen),
            max(mine.last_seen, theirs.last_seen),
            stronger(mine.consent, theirs.consent).value,
            kept,
        ],
    )
    languages = tuple(dict.fromkeys(mine.languages + theirs.languages))
    set_name(db, kept, mine.name if mine.name is not None else theirs.name, languages)
    db.execute("DELETE FROM users WHERE user_id = ?", [gone])
    add_alias(db, gone, kept)
