"""`rapport-edge profiles`: what an operator may see and do of a robot's memory of people.

Looking works while a node owns the database. Forgetting and compacting need the database to themselves: while a node
runs, its services do the same.
"""

from __future__ import annotations

import getpass
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rapport_edge.store import ProfileRecord


@click.group("profiles")
def command() -> None:
    """Shows, exports and deletes what is remembered about people."""


database = click.option(
    "--db", "path", type=click.Path(path_type=Path), required=True, help="The profile database of a robot."
)


@command.command("list")
@database
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@click.option("--offset", type=click.IntRange(0), default=0, show_default=True)
def list_profiles(path: Path, limit: int, offset: int) -> None:
    """Lists persons, the most recently seen first. Anonymous persons live in a node's memory and are not among them."""
    from rapport_edge.store import ProfileReader

    with ProfileReader.beside_owner(path) as reader:
        page = reader.profiles(limit, offset)
    for profile in page.profiles:
        click.echo(f"{profile.user_id:24s} last seen {_when(profile.last_seen)}  {profile.name or ''}".rstrip())
    click.echo(f"{len(page.profiles)} of {page.total} persons", err=True)


@command.command("show")
@database
@click.argument("user_id")
def show(path: Path, user_id: str) -> None:
    """Shows one person's profile, without biometrics and behaviour."""
    from rapport_edge.store import ProfileReader

    with ProfileReader.beside_owner(path) as reader:
        profile = reader.get(user_id)
        decisions = reader.consent_history(user_id)
    for line in _describe(profile):
        click.echo(line)
    for decision in decisions:
        click.echo(f"consent      {decision.consent.value} on {_when(decision.at)}, said by {decision.actor}")


@command.command("export")
@database
@click.argument("user_id")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write; default: the terminal.")
def export(path: Path, user_id: str, output: Path | None) -> None:
    """Writes everything about one person as JSON, to be handed to that person; the audit log records it."""
    from rapport_edge.store import ProfileReader
    from rapport_edge.store.audit import append_from_outside
    from rapport_edge.store.export import export_json, write_private
    from rapport_edge.store.records import AuditRecord

    now = time.time()
    with ProfileReader.beside_owner(path) as reader:
        known = reader.get(user_id).user_id
        entry = AuditRecord(at=now, actor=_actor(), action="export", user_id=known, outcome="handed out")
        append_from_outside(path, entry)
        content = export_json(reader.collect(known, now))
    if output is None:
        sys.stdout.buffer.write(content + b"\n")
    else:
        write_private(output, content)
        click.echo(f"wrote {output}", err=True)


@command.command("forget")
@database
@click.argument("user_id")
@click.confirmation_option(prompt="Everything about this person will be deleted for good. Continue?")
def forget(path: Path, user_id: str) -> None:
    """Deletes everything about one person, down to the bytes."""
    from rapport_edge.store import ProfileStore, StoreError
    from rapport_edge.store.connection import check_exists

    check_exists(path)
    with ProfileStore(path) as store:
        result = store.forget(user_id, _actor())
    click.echo(f"deleted {result.rows} rows")
    if not result.traces_erased:
        raise StoreError(
            f"the rows are gone, but {path} could not be rewritten, because another program reads it or the disk is "
            "full; the next start of the store tries again"
        )


@command.command("audit")
@database
@click.option("--user", "user_id", help="Only entries about this person.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True)
def audit(path: Path, user_id: str | None, limit: int) -> None:
    """Shows who asked for what, newest first."""
    from rapport_edge.store import ProfileReader

    with ProfileReader.beside_owner(path) as reader:
        entries = reader.audit_log(user_id, limit)
    for entry in entries:
        click.echo(f"{_when(entry.at)}  {entry.actor:20s} {entry.action:8s} {entry.user_id:24s} {entry.outcome}")


@command.command("check")
@database
def check(path: Path) -> None:
    """Checks the file thoroughly; exit status 2 when something is wrong with it."""
    from rapport_edge.store import ProfileReader, StoreCorruptError

    with ProfileReader.beside_owner(path) as reader:
        findings = reader.check()
        total = reader.profiles(limit=1).total
    if findings:
        raise StoreCorruptError(f"{path} is damaged: {'; '.join(findings)}")
    click.echo(f"{path} is sound: {total} persons, {path.stat().st_size / 1e6:.1f} MB")


@command.command("compact")
@database
def compact(path: Path) -> None:
    """Gives free space back to the disk."""
    from rapport_edge.store import ProfileStore, StoreBusyError
    from rapport_edge.store.connection import check_exists

    check_exists(path)
    before = path.stat().st_size
    with ProfileStore(path) as store:
        done = store.compact()
    if not done:
        raise StoreBusyError(f"{path} could not be rewritten: another program reads it, or the disk is full")
    click.echo(f"{before / 1e6:.1f} MB became {path.stat().st_size / 1e6:.1f} MB")


def _actor() -> str:
    return f"operator:{getpass.getuser()}"


def _when(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().isoformat(sep=" ", timespec="seconds")


def _describe(profile: ProfileRecord) -> list[str]:
    lines = [
        f"person       {profile.user_id}",
        f"name         {profile.name or 'not told'}",
        f"languages    {', '.join(profile.languages) or 'not told'}",
        f"seen         {_when(profile.first_seen)} to {_when(profile.last_seen)}",
    ]
    for record in profile.demographics:
        known = f"{record.label or 'unknown'} ({record.confidence:.0%}, {record.observations} observations)"
        years = f", {record.age.mean:.0f} years, {record.age.low:.0f} to {record.age.high:.0f}" if record.age else ""
        lines.append(f"{record.attribute:12s} {known}{years}")
    for preference in profile.preferences:
        lines.append(f"{'likes' if preference.strength >= 0 else 'dislikes':12s} {preference.topic}")
    return lines
