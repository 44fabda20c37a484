"""`rapport demo`: the command line of the demonstration."""

from __future__ import annotations

import os
import sys
from importlib.resources import files
from pathlib import Path

import click

DEMO_PARAMETERS = Path(str(files("rapport_ros") / "config" / "demo.yaml"))


@click.command()
@click.option(
    "--input",
    "source",
    default="",
    metavar="WHAT",
    help="A video, a picture, a folder of pictures, a rosbag2, "
    "or a camera (/dev/video0, or 0). Default: a photograph of an astronaut through a moving camera.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo"),
    show_default=True,
    help="Folder for report.html and profiles.json.",
)
@click.option(
    "--rate",
    type=click.FloatRange(0.1, 240.0),
    help="Frames per second. Default: the input's own speed; 30 where it has none.",
)
@click.option("--seconds", type=click.FloatRange(min=0.1), help="End after so long. Default: the whole input.")
@click.option("--topic", default="", help="Image topic of a rosbag2. Default: the one with most images.")
@click.option(
    "--hold",
    type=click.FloatRange(0.01, 60.0),
    help="Seconds to show each picture of a folder. Default: one frame each.",
)
@click.option("--compressed", is_flag=True, help="Publish JPEG instead of raw images.")
@click.option(
    "--params",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=DEMO_PARAMETERS,
    help="ROS parameter file of the nodes. Default: the packaged demo.yaml, which allows age and gender.",
)
@click.option(
    "--bundle", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Folder of another encoder bundle."
)
@click.option("--domain", type=click.IntRange(0, 232), help="ROS domain id. Default: one of its own.")
def demo(  # noqa: PLR0913 - one argument per option
    source: str,
    out: Path,
    rate: float | None,
    seconds: float | None,
    topic: str,
    hold: float | None,
    compressed: bool,
    params: Path,
    bundle: Path | None,
    domain: int | None,
) -> None:
    """Play pictures to the nodes and print the profiles as they come; ends with a report.

    Exit status 1 if no face was profiled, 2 if the input cannot be played.
    """
    from rapport_ros.demo.demo import DemoSettings, run_demo
    from rapport_ros.harness.domain import use_domain
    from rapport_ros.playback.factory import SourceSettings
    from rapport_ros.playback.player import PlayerSettings

    click.echo(f"ROS domain {use_domain(domain, os.environ)}")
    what = SourceSettings(input=source, rate=rate, topic=topic, hold=hold)
    player = PlayerSettings(source=what, compressed=compressed, seconds=seconds)
    if not run_demo(DemoSettings(player, params, bundle, out), say=click.echo):
        sys.exit(1)


@click.command()
@click.argument("target", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--bundle", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Folder of another encoder bundle."
)
def picture(target: Path, bundle: Path | None) -> None:
    """Write an annotated view of the astronaut photograph to TARGET, a JPEG file."""
    from rapport_edge.pipeline import PipelineSettings
    from rapport_ros.demo.picture import write_picture

    settings = PipelineSettings(bundle_path=str(bundle or ""), allowed_attributes=("age", "gender"))
    write_picture(target, settings)
    click.echo(f"{target}: {target.stat().st_size / 1000:.0f} kB")
