"""The command `rapport`."""

from __future__ import annotations

import os
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import click

from rapport_edge.errors import RapportError
from rapport_ros.bench.command import bench
from rapport_ros.demo.command import demo, picture
from rapport_ros.stop_signals import StoppedError, stop_signals

DEFAULT_PARAMETERS = Path(str(files("rapport_ros") / "config" / "rapport.yaml"))
NODE_NAMES = ("face_perception", "profile_store", "dialogue_example")


class ReasonGroup(click.Group):
    """Turns errors that are meant for people into one line on standard error and exit status 2."""

    def invoke(self, context: click.Context) -> Any:
        """Runs the subcommand."""
        try:
            return super().invoke(context)
        except RapportError as error:
            click.echo(f"rapport: {error}", err=True)
            sys.exit(2)


@click.group(cls=ReasonGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="rapport_ros")
def main() -> None:
    """Tells a social robot who it is talking to."""


@main.command()
@click.option(
    "--params",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=DEFAULT_PARAMETERS,
    help="ROS parameter file (YAML); the packaged one by default.",
)
@click.option("--domain", type=click.IntRange(0, 232), help="ROS domain id; otherwise ROS_DOMAIN_ID or 0.")
@click.option("--namespace", default="", help="Namespace of all nodes, such as /robot1.")
@click.option("--remap", multiple=True, metavar="FROM:=TO", help="Renames a topic, such as image:=/camera/image_raw.")
def up(params: Path, domain: int | None, namespace: str, remap: tuple[str, ...]) -> None:
    """Run face perception, profile store and the dialogue example in one process until Ctrl-C."""
    with stop_signals() as stop:
        from rapport_ros.up import run_all

        if domain is not None:
            os.environ["ROS_DOMAIN_ID"] = str(domain)
        try:
            run_all(params, namespace, remap, click.echo, stop)
        except StoppedError as stopped:
            click.echo(str(stopped))


main.add_command(demo)
main.add_command(bench)
main.add_command(picture)


if __name__ == "__main__":
    main()
