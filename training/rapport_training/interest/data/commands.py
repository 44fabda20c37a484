"""`rapport-train interest data ...` and `rapport-train interest prepare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rapport_edge.errors import SettingsError

if TYPE_CHECKING:
    from rapport_training.interest.data.log import BehaviourLog
    from rapport_training.interest.data.prepared import PreparedLog

_PATH = click.Path(path_type=Path)
_OUT = click.option("--out", type=_PATH, required=True, help="The folder to write.")
_OVERWRITE = click.option("--overwrite", is_flag=True, help="Replace what an earlier run wrote there.")


@click.group()
def data() -> None:
    """Turns a source into a behaviour log: items, users, events."""


@data.command()
@click.argument("folder", type=_PATH)
@click.option("--posters", type=_PATH, help="Zip file or folder with ID.jpg.  [default: the *.zip in the folder]")
@_OUT
@_OVERWRITE
def movielens(folder: Path, posters: Path | None, out: Path, overwrite: bool) -> None:
    """MovieLens: 100K, 1M or the newer CSV files."""
    from rapport_training.interest.data.log_writer import write_log
    from rapport_training.interest.data.sources.movielens import movielens as source

    _say(write_log(*source(folder, posters), out, overwrite=overwrite))


@data.command()
@click.argument("path", type=_PATH)
@_OUT
@_OVERWRITE
def taobao(path: Path, out: Path, overwrite: bool) -> None:
    """Taobao's UserBehavior.csv."""
    from rapport_training.interest.data.log_writer import write_log
    from rapport_training.interest.data.sources.taobao import taobao as source

    _say(write_log(*source(path), out, overwrite=overwrite))


@data.command()
@click.argument("reviews", type=_PATH)
@click.option("--metadata", type=_PATH, help="Titles and categories, of the same year as the reviews.")
@click.option("--pictures", type=_PATH, help="Zip file or folder with ASIN.jpg.")
@_OUT
@_OVERWRITE
def amazon(reviews: Path, metadata: Path | None, pictures: Path | None, out: Path, overwrite: bool) -> None:
    """Amazon reviews of 2018 or 2023: JSON lines, or the ratings-only CSV."""
    from rapport_training.interest.data.log_writer import write_log
    from rapport_training.interest.data.sources.amazon import amazon as source

    _say(write_log(*source(reviews, metadata, pictures), out, overwrite=overwrite))


@data.command()
@click.argument("reviews", type=_PATH)
@click.option("--businesses", type=_PATH, help="business.json: names and categories.")
@click.option("--pictures", type=_PATH, help="Zip file or folder with BUSINESS_ID.jpg.")
@_OUT
@_OVERWRITE
def yelp(reviews: Path, businesses: Path | None, pictures: Path | None, out: Path, overwrite: bool) -> None:
    """Yelp: review.json, or a CSV of reviews."""
    from rapport_training.interest.data.log_writer import write_log
    from rapport_training.interest.data.sources.yelp import yelp as source

    _say(write_log(*source(reviews, businesses, pictures), out, overwrite=overwrite))


@data.command()
@click.argument("path", type=_PATH)
@click.option("--attributes", type=_PATH, help="NAME_item2attributes.json.")
@_OUT
@_OVERWRITE
def s3rec(path: Path, attributes: Path | None, out: Path, overwrite: bool) -> None:
    """Sequences as S3-Rec publishes them: order, no times."""
    from rapport_training.interest.data.log_writer import write_log
    from rapport_training.interest.data.sources.s3rec import s3rec as source

    _say(write_log(*source(path, attributes), out, overwrite=overwrite))


@data.command()
@click.option("--train", type=_PATH, required=True, help="CSV or Parquet, as FuxiCTR's data sets have them.")
@click.option("--test", type=_PATH, required=True, help="The same columns.")
@click.option("--validation", type=_PATH, help="Without one the test file validates, and the protocol says so.")
@click.option("--as-prepared", is_flag=True, help="Keep the files' histories and splits: samples instead of a log.")
@click.option("--column", "columns", multiple=True, help="Such as item=movie_id, where the files say otherwise.")
@click.option("--time", default="", help="Column with Unix seconds, for a log.")
@_OUT
@_OVERWRITE
def fuxictr(  # noqa: PLR0913 - one argument per option
    train: Path,
    test: Path,
    validation: Path | None,
    as_prepared: bool,
    columns: tuple[str, ...],
    time: str,
    out: Path,
    overwrite: bool,
) -> None:
    """FuxiCTR's layout: label, user_id, item_id, cate_id, item_history, cate_history."""
    from rapport_training.interest.data.fuxictr_files import columns_of
    from rapport_training.interest.data.fuxictr_prepared import prepare_fuxictr
    from rapport_training.interest.data.log_writer import write_log
    from rapport_training.interest.data.sources.fuxictr import fuxictr as source

    names = columns_of(columns)
    if as_prepared:
        _say_prepared(prepare_fuxictr(train, test, validation, out, columns=names, overwrite=overwrite))
        return
    paths = [path for path in (train, validation, test) if path is not None]
    _say(write_log(*source(paths, names, time), out, overwrite=overwrite))


@data.command()
@click.argument("folder", type=_PATH)
@click.option("--pictures", type=_PATH, help="Zip file or folder with ID.jpg.")
@click.option("--name", default="", help="Of the data.  [default: the folder's]")
@click.option("--licence", default="", help="What may be done with it; a bundle's card says it.")
@click.option("--label-name", default="click", show_default=True, help="What the column label is, such as rating.")
@click.option(
    "--label-scale", type=click.FloatRange(0, min_open=True), default=1.0, show_default=True, help="The best."
)
@_OUT
@_OVERWRITE
def tables(folder: Path, pictures: Path | None, out: Path, overwrite: bool, **about: Any) -> None:
    """Tables of your own: events.parquet and, where wanted, items.parquet and users.parquet."""
    from rapport_training.interest.data.log import About
    from rapport_training.interest.data.log_writer import write_log
    from rapport_training.interest.data.sources.tables import tables as source

    _say(write_log(*source(folder, About(**about), pictures), out, overwrite=overwrite))


@data.command()
@click.option("--kind", type=click.Choice(["content", "noise"]), required=True, help="What the clicks follow.")
@click.option("--items", type=click.IntRange(min=0), default=0, help="[default: content 6000, noise 400]")
@click.option("--users", type=click.IntRange(min=0), default=0, help="[default: content 4000, noise 5000]")
@click.option("--events", type=click.IntRange(min=0), default=0, help="[default: content 80000, noise 200000]")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Same seed, same log.")
@_OUT
@_OVERWRITE
def synthetic(out: Path, overwrite: bool, **settings: Any) -> None:
    """A log whose truth is known: clicks follow pictures and titles, or have nothing to do with them."""
    from rapport_training.interest.data.log_writer import write_log
    from rapport_training.interest.data.sources.synthetic import SyntheticSettings
    from rapport_training.interest.data.sources.synthetic import synthetic as source

    _say(write_log(*source(SyntheticSettings(**settings)), out, overwrite=overwrite))


@click.command("prepare")
@click.option("--log", "log_path", type=_PATH, required=True, help="A log, as 'rapport-train interest data' writes it.")
@click.option("--protocol", type=click.Choice(["time", "leave-last-out"]), default="time", show_default=True)
@click.option("--shares", default="0.8,0.1,0.1", show_default=True, help="Training, validation, test; for 'time'.")
@click.option("--negatives", type=click.IntRange(min=0), default=0, show_default=True, help="Sampled per liked item.")
@click.option("--negatives-by", type=click.Choice(["uniform", "popularity"]), default="uniform", show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the sampling.")
@click.option("--history-kind", "history_kinds", multiple=True, help="Kinds of behaviours.  [default: all]")
@click.option("--sample-kind", "sample_kinds", multiple=True, help="Kinds of events to explain.  [default: all]")
@click.option("--threshold", type=float, help="Liked from here on, in the log's unit.  [default: 0.8 of the best]")
@_OUT
@_OVERWRITE
def prepare_command(log_path: Path, out: Path, overwrite: bool, shares: str, **options: Any) -> None:
    """Makes samples of a log: histories, splits, negatives."""
    from rapport_training.interest.data.log import BehaviourLog
    from rapport_training.interest.data.prepare import prepare
    from rapport_training.interest.data.settings import PrepareSettings

    settings = PrepareSettings(shares=_shares(shares), **options)
    prepared = prepare(BehaviourLog.open(log_path), settings, out, overwrite=overwrite)
    _say_prepared(prepared)


def _shares(text: str) -> tuple[float, float, float]:
    parts = text.split(",")
    try:
        train, validation, test = map(float, parts)
    except ValueError as error:
        raise SettingsError(f"--shares {text}: expected three numbers, such as 0.8,0.1,0.1") from error
    return train, validation, test


def _say(log: BehaviourLog) -> None:
    click.echo(f"{log.path}: {log.name}: {log.item_count} items, {log.user_count} users, {log.event_count} events")
    _say_counts(log.record.dropped | log.record.notes)


def _say_prepared(prepared: PreparedLog) -> None:
    click.echo(f"{prepared.path}: {prepared.name}: {prepared.protocol}")
    for split, rows in prepared.record.rows.items():
        samples = prepared.samples(split)
        liked = 100 * float(samples.label.mean()) if rows else 0.0
        click.echo(f"  {split}: {rows} samples, {liked:.1f} % liked, {int(samples.cold.sum())} of new items")
    _say_counts(prepared.record.counts)


def _say_counts(counts: dict[str, int]) -> None:
    for reason, count in counts.items():
        click.echo(f"  {reason}: {count}")
