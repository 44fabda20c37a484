"""`rapport-train interest table`."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rapport_edge.errors import SettingsError

if TYPE_CHECKING:
    from rapport_training.interest.tables.open_log import OpenLog
    from rapport_training.interest.tables.record import Record
    from rapport_training.interest.tables.suite import Suite

_PATH = click.Path(path_type=Path)


@dataclass(frozen=True, kw_only=True)
class TableOptions:
    """The options of `rapport-train interest table`."""

    suite: str
    log: tuple[str, ...]
    prepared: tuple[str, ...]
    out: Path
    seeds: str | None
    only: tuple[str, ...]
    devices: int | None


@click.command()
@click.option("--suite", default="interest-movielens", show_default=True, help="Name of a shipped suite, or a file.")
@click.option("--log", metavar="NAME=FOLDER", multiple=True, help="A behaviour log of the suite; repeatable.")
@click.option("--prepared", metavar="NAME=FOLDER", multiple=True, help="Its samples, instead of preparing them.")
@click.option("--out", type=_PATH, required=True, help="Folder of trainings, embeddings, results and the report.")
@click.option("--seeds", metavar="0,1,...", help="Instead of the suite's.")
@click.option("--only", metavar="TABLE[/LOG]", multiple=True, help="Such as 2, 6 or fig-5; repeatable.")
@click.option("--devices", type=click.IntRange(min=1), help="GPUs, or processes on the CPU.  [default: GPUs, or 1]")
def table(**options: Any) -> None:
    """Trains and tests what the paper's Tables 2 to 6 compare; Ctrl-C stops it, the same command continues it."""
    run_table(TableOptions(**options))


def run_table(options: TableOptions) -> None:
    """Does what is missing, prints the tables and writes the report, also of what was done before Ctrl-C."""
    from rapport_training.interest.tables.jobs import check_only
    from rapport_training.interest.tables.suite import load_suite
    from rapport_training.interest.tables.suite_run import SuiteRun
    from rapport_training.interest.tables.trainings import Trainings
    from rapport_training.reporting.options import seed_numbers
    from rapport_training.yaml_files import suite_path

    # What it says of each of a hundred trainings would hide the progress.
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    suite = load_suite(suite_path(options.suite))
    check_only(suite, options.only)
    seeds = suite.seeds if options.seeds is None else seed_numbers(options.seeds)
    trainings = Trainings(options.out, _logs(suite, options), options.devices or "auto")
    run = SuiteRun(suite, trainings, seeds, options.only, progress=lambda text: click.echo(text, err=True))
    try:
        run.work()
    finally:
        _finish(run.record(), options.out / "report")


def _logs(suite: Suite, options: TableOptions) -> dict[str, OpenLog]:
    """The logs that were given, prepared.

    Raises:
        SettingsError: for a name that the suite does not have, or if there is none.
    """
    from rapport_training.interest.tables.open_log import open_log
    from rapport_training.reporting.options import named_paths

    logs, prepared = named_paths("--log", options.log), named_paths("--prepared", options.prepared)
    for name in (*logs, *prepared):
        if name not in suite.logs:
            raise SettingsError(f"{name}=...: the suite {suite.name} knows {', '.join(suite.logs)}")
    if not logs and not prepared:
        raise SettingsError(f"no log was given; --log NAME=FOLDER with one of {', '.join(suite.logs)}")
    return {
        name: open_log(plan, logs.get(name), prepared.get(name), options.out)
        for name, plan in suite.logs.items()
        if name in logs or name in prepared
    }


def _finish(record: Record, folder: Path) -> None:
    """Prints the tables and writes the report."""
    from rapport_training.interest.tables.report import as_markdown, complete, write_report

    record = complete(record)
    click.echo(as_markdown(record))
    click.echo(f"report: {write_report(record, folder)}")
