"""`rapport-edge rank`: what an interest-ranker would suggest to somebody with a given history, and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rapport_edge.ranking import RankedItem


@click.command("rank")
@click.option("--bundle", "path", type=click.Path(path_type=Path), required=True, help="An interest-ranker's folder.")
@click.option("--history", default="", help="JSON file, or item ids with commas, oldest first; default: none.")
@click.option("--candidates", default="", help="JSON file, or item ids with commas; default: the catalogue.")
@click.option("--user", default="", help="JSON file with values by user field; default: a person never seen.")
@click.option("--centre", default="", help="A representation centre: a folder, or redis://...; default: none.")
@click.option("--now", type=float, help="Seconds since 1970, from which events have their age; default: the clock.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many items.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(path: Path, history: str, candidates: str, user: str, centre: str, **options: Any) -> None:
    """Ranks candidates for one history and prints rank, score, id, title and the reason.

    A JSON file holds a list of ids, or of objects with id and, if wanted, title, fields, content and (in a history)
    time. What an object leaves out comes from the bundle's catalogue.
    """
    from contextlib import ExitStack, closing

    import msgspec

    from rapport_edge.bundle import load_bundle
    from rapport_edge.ranking import Event, Item, create_ranker
    from rapport_edge.ranking.files import check_fields, open_sources, read_items, read_user

    with ExitStack() as opened:
        sources = [opened.enter_context(closing(source)) for source in open_sources(centre)]
        ranker = create_ranker(load_bundle(path), sources=sources)
        events, person = read_items(history, Event), read_user(user)
        items = read_items(candidates, Item) if candidates else None
        for item in (*events, *(items or ())):
            check_fields(item.fields, ranker.item_fields, f"item {item.id!r}")
        check_fields(person, ranker.user_fields, f"the person of {user}")
        ranked = ranker.rank(events, items, user=person, now=options["now"], limit=options["limit"])
        strangers = ranker.strangers(events)
    if strangers:
        click.echo(_remark(strangers, len(events)), err=True)
    if options["as_json"]:
        click.echo(msgspec.json.format(msgspec.json.encode(ranked), indent=2))
        return
    for item in ranked:
        click.echo(_line(item))


def _remark(strangers: list[str], events: int) -> str:
    return f"{len(strangers)} of {events} items of the history are known to no table, such as {strangers[0]!r}"


def _line(item: RankedItem) -> str:
    name = f"{item.id}  {item.title}" if item.title else item.id
    remarks = [*([item.reason] if item.reason else []), *([] if item.known else ["not in the training"])]
    return f"{item.rank:4d}  {item.score:.4f}  {name}" + (f"  ({'; '.join(remarks)})" if remarks else "")
