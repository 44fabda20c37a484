"""`rapport-train interest embed`: a catalogue becomes a representation centre."""

from __future__ import annotations

from pathlib import Path

import click

_PATH = click.Path(path_type=Path)


@click.command()
@click.option("--log", "folder", type=_PATH, required=True, help="Behaviour log with the items.")
@click.option("--encoder", type=_PATH, required=True, help="Run of 'interest pretrain' or 'interest csft'.")
@click.option("--centre", required=True, help="Where the vectors go: a folder, or redis://...")
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="This process, or a Ray cluster (RAY_ADDRESS; without it, one of this machine).",
)
@click.option(
    "--storage",
    type=click.Choice(["float32", "float16"]),
    help="How a new centre keeps values.  [default: float32]",
)
def embed(folder: Path, encoder: Path, centre: str, engine: str, storage: str | None) -> None:
    """Embeds the items that the centre does not have; Ctrl-C stops it, the same command continues it."""
    from rapport_edge.representation.addresses import without_password
    from rapport_training.interest.data.log import BehaviourLog
    from rapport_training.interest.embed import embed_log

    log = BehaviourLog.open(folder)
    counts = embed_log(log, encoder, centre, engine=engine, storage=storage, progress=True)  # type: ignore[arg-type]
    shown = without_password(centre)
    if counts.broken:
        click.echo(f"{counts.broken} pictures are broken; their items count as ones without a picture")
    click.echo(f"{counts.embedded} of {counts.items} items embedded now; {shown} is at version {counts.version}")
