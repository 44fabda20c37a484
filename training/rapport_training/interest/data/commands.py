"""`rapport-train interest data ...` and `rapport-train interest prepare`."""

from __future__ import annotations

from pathlib import Path

import click

_PATH = click.Path(path_type=Path)
_OUT = click.option("--out", type=_PATH, required=True, help="The folder to write.")
_OVERWRITE = click.option("--overwrite", is_flag=True, help="Replace what an earlier run wrote there.")


@click.group()
def data() -> None:
    """Turns a source into a behaviour log: items, users, events."""


@data.command()
@click.option("--train", type=_PATH, required=True, help="CSV with histories, as FuxiCTR's data sets have them.")
@click.option("--test", type=_PATH, required=True, help="The same columns.")
@click.option("--validation", type=_PATH, help="Without one the test file validates, and the protocol says so.")
@click.option("--as-prepared", is_flag=True, help="Keep the files' histories and splits: samples instead of a log.")
@_OUT
@_OVERWRITE
def fuxictr(train: Path, test: Path, validation: Path | None, as_prepared: bool, out: Path, overwrite: bool) -> None:
    """FuxiCTR's layout: label, user_id, item_id, cate_id, item_history, cate_history."""
    from rapport_training.interest.data.fuxictr_prepared import prepare_fuxictr

    prepared = prepare_fuxictr(train, test, validation, out, overwrite=overwrite)
    click.echo(f"{prepared.path}: {prepared.protocol}; {prepared.record.rows}")
