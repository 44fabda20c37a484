"""What a person likes and does: preferences, and interactions with content items."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from sqlite_utils import Database

from rapport_edge.store.records import InteractionRecord, PreferenceRecord


def set_preference(db: Database, user_id: str, preference: PreferenceRecord, at: float) -> None:
    """Write what is now believed about one topic; it replaces what was believed before."""
    row = {**msgspec.to_builtins(preference), "user_id": user_id}
    row["updated"] = at if preference.updated is None else preference.updated
    db.table("preferences").upsert(row, pk=("user_id", "topic"))


def preferences_of(db: Database, user_id: str) -> tuple[PreferenceRecord, ...]:
    """A person's preferences, strongest first."""
    rows = db.query(
        "SELECT topic, strength, confidence, source, evidence, updated FROM preferences WHERE user_id = ? "
        "ORDER BY abs(strength) * confidence DESC, topic",
        [user_id],
    )
    return tuple(msgspec.convert(row, PreferenceRecord) for row in rows)


def absorb_preferences(db: Database, kept: str, gone: str) -> None:
    """Give `kept` the preferences of `gone`: per topic the newer belief stays, and the evidence adds up."""
    db.execute(
        """INSERT INTO preferences SELECT ?, topic, strength, confidence, source, evidence, updated
           FROM preferences WHERE user_id = ?
           ON CONFLICT (user_id, topic) DO UPDATE SET
             strength = iif(excluded.updated > updated, excluded.strength, strength),
             confidence = iif(excluded.updated > updated, excluded.confidence, confidence),
             source = iif(excluded.updated > updated, excluded.source, source),
             evidence = evidence + excluded.evidence,
             updated = max(updated, excluded.updated)""",
        [kept, gone],
    )
    db.execute("DELETE FROM preferences WHERE user_id = ?", [gone])


def add_interaction(db: Database, user_id: str, interaction: InteractionRecord, at: float) -> None:
    """Append one event of behaviour; what claims to be later is from now, or it would outlive its retention."""
    row = {**msgspec.to_builtins(interaction), "user_id": user_id}
    row["at"] = at if interaction.at is None else min(interaction.at, at)
    db.table("interactions").insert(row)


class BehaviourVersion(NamedTuple):
    """Differs when somebody's behaviour does: how many events, and the sums of their row numbers and times."""

    events: int
    rows: int
    times: float


def behaviour_version(db: Database, user_id: str) -> BehaviourVersion:
    """Without reading the events: an index alone answers."""
    (row,) = db.execute("SELECT count(*), total(id), total(at) FROM interactions WHERE user_id = ?", [user_id])
    return BehaviourVersion(row[0], int(row[1]), row[2])


def interactions_of(db: Database, user_id: str, limit: int = -1) -> tuple[InteractionRecord, ...]:
    """A person's behaviour, newest first; `limit` -1 stands for all."""
    rows = db.query(
        "SELECT item_id, kind, duration, label, at FROM interactions WHERE user_id = ? "
        "ORDER BY at DESC, id DESC LIMIT ?",
        [user_id, limit],
    )
    return tuple(msgspec.convert(row, InteractionRecord) for row in rows)
