"""`rapport-train data ...`: data sets of faces with captions."""

from __future__ import annotations

import os
from pathlib import Path

import click

from rapport_training.data.genuser_command import genuser

_PATH = click.Path(path_type=Path)


@click.group()
def data() -> None:
    """Makes the data sets that models are trained and measured on."""


@data.command()
@click.option(
    "--faces",
    type=_PATH,
    multiple=True,
    required=True,
    help="FairFace: a folder with fairface_label_*.csv and pictures, a label file, or a Parquet file; repeatable.",
)
@click.option("--test", type=_PATH, multiple=True, help="The same, for a test split of its own; repeatable.")
@click.option(
    "--splits",
    help="Shares of train, val and test, by content hash; or `own`: FairFace's validation pictures are the test split."
    "  [default: 0.8,0.1,0.1]",
)
@click.option(
    "--held-out",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.05,
    show_default=True,
    help="Share of --faces that becomes val where the test split is a source of its own.",
)
@click.option("--races", default="", help="Use only these of --faces, as in Black,White.")
@click.option("--test-races", default="", help="The same for --test: faces unlike those of the training.")
@click.option("--out", type=_PATH, required=True, help="Folder of the data set.")
@click.option("--limit", type=click.IntRange(min=1), help="Use only the first faces of --faces, and of --test.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the splits.")
@click.option("--processes", type=click.IntRange(min=1), help="That decode and detect.  [default: all cores]")
@click.option("--overwrite", is_flag=True, help="Replace a data set that is there.")
@click.pass_context
def fairuser(  # noqa: PLR0913 - one argument per option
    context: click.Context,
    faces: tuple[Path, ...],
    test: tuple[Path, ...],
    splits: str | None,
    held_out: float,
    races: str,
    test_races: str,
    out: Path,
    limit: int | None,
    seed: int,
    processes: int | None,
    overwrite: bool,
) -> None:
    """FairFace's pictures with captions by the paper's template."""
    from rapport_training.data.about import command_line
    from rapport_training.data.fairuser import FairUserSettings, build_fairuser

    settings = FairUserSettings(
        faces, test, splits, held_out, limit, seed, races=_names(races), test_races=_names(test_races)
    )
    command, workers = command_line(context), processes or os.cpu_count() or 1
    summary = build_fairuser(settings, out, command=command, processes=workers, overwrite=overwrite)
    counts = ", ".join(f"{split.rows} {name}" for name, split in summary.splits.items())
    click.echo(f"made: {out} ({counts})")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


data.add_command(genuser)
