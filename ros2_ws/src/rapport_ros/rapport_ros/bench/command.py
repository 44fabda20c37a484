"""`rapport bench`: the command line of the measurement."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from rapport_ros.demo.command import DEMO_PARAMETERS
from rapport_ros.stop_signals import StoppedError, stop_signals


@click.command()
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("bench/latest.json"),
    show_default=True,
    help="Where the figures go.",
)
@click.option("--seconds", type=click.FloatRange(1.0, 600.0), default=8.0, show_default=True, help="Length of a case.")
@click.option("--only", default="", metavar="WORDS", help='Cases whose names hold all these words: "640x480 raw".')
@click.option(
    "--params",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=DEMO_PARAMETERS,
    help="ROS parameter file of the nodes. Default: the demo's, with age and gender allowed.",
)
@click.option(
    "--bundle", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Folder of another encoder bundle."
)
@click.option("--domain", type=click.IntRange(0, 232), help="ROS domain id. Default: one of its own.")
def bench(out: Path, seconds: float, only: str, params: Path, bundle: Path | None, domain: int | None) -> None:
    """Measure latency, rates, drops, CPU and memory at 30 Hz, with a camera-like publisher in another process.

    Exit status 1 if a case could not be played to its end, 130 or 143 if Ctrl-C or SIGTERM stopped it.
    """
    with stop_signals() as stop:
        from rapport_edge.errors import SettingsError
        from rapport_ros.bench.bench import BenchSettings, run_bench
        from rapport_ros.bench.cases import all_cases
        from rapport_ros.harness.domain import use_domain

        cases = [case for case in all_cases() if all(word in case.name.split() for word in only.split())]
        if not cases:
            names = "; ".join(case.name for case in all_cases())
            raise SettingsError(f"no case has all the words '{only}'; cases are: {names}")
        use_domain(domain, os.environ)
        try:
            complete = run_bench(BenchSettings(cases, seconds, params, bundle, out), click.echo, stop)
        except StoppedError as stopped:
            click.echo(f"rapport: {stopped}", err=True)
            sys.exit(stop.exit_status)
    if not complete:
        sys.exit(1)
