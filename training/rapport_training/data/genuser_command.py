"""`rapport-train data genuser`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rapport_edge.errors import SettingsError

if TYPE_CHECKING:
    from rapport_training.data.captioners.base import Captioner
    from rapport_training.data.genuser_source import Source

_PATH = click.Path(path_type=Path)
_PRICE = click.FloatRange(min=0)


@click.command()
@click.option("--folder", type=_PATH, help="Folder of faces, each with a JSON file of visual attributes.")
@click.option("--faces", type=_PATH, multiple=True, help="Instead: Parquet file of labelled faces; repeatable.")
@click.option("--out", type=_PATH, required=True, help="Folder of the data set.")
@click.option("--splits", default="8000,1000,1000", show_default=True, help="Faces of train, val, test, or shares.")
@click.option(
    "--captioner",
    "kind",
    type=click.Choice(["endpoint", "vision-language", "template"]),
    required=True,
    help="Who writes: a model behind an OpenAI-compatible endpoint, one on this machine, or fixed sentences.",
)
@click.option("--model", help="Name at the endpoint, or folder or name of the vision-language model.")
@click.option("--base-url", default="https://api.openai.com/v1", show_default=True, help="Of the endpoint.")
@click.option("--key-variable", default="OPENAI_API_KEY", show_default=True, help="Environment variable with the key.")
@click.option("--max-tokens", type=click.IntRange(min=16), default=200, show_default=True, help="Of an answer.")
@click.option("--requests-per-minute", type=click.FloatRange(min=0, min_open=True), help="Most requests to send.")
@click.option("--concurrency", type=click.IntRange(1, 256), default=4, show_default=True, help="Requests at a time.")
@click.option("--timeout", type=click.FloatRange(min=1), default=60.0, show_default=True, help="Seconds per request.")
@click.option("--retries", type=click.IntRange(min=0), default=5, show_default=True, help="While it is busy or broken.")
@click.option("--price-in", type=_PRICE, default=0.0, help="Per million tokens that go in.")
@click.option("--price-out", type=_PRICE, default=0.0, help="Per million tokens that come out.")
@click.option("--budget", type=click.FloatRange(min=0, min_open=True), help="Stop before the cost is higher.")
@click.option(
    "--ledger", type=_PATH, help="File of the answers so far; the same command goes on there.  [default: OUT.jsonl]"
)
@click.option("--skip-unanswered", is_flag=True, help="Leave out pictures that got no answer.")
@click.option(
    "--long-captions",
    type=click.Choice(["cut", "refuse"]),
    default="cut",
    show_default=True,
    help="What happens to profiles that are longer than CLIP's 77 tokens.",
)
@click.option("--processes", type=click.IntRange(min=1), help="That decode and detect.  [default: all cores]")
@click.option("--overwrite", is_flag=True, help="Replace a data set that is there.")
@click.pass_context
def genuser(context: click.Context, **options: Any) -> None:
    """Faces with one-paragraph profiles; Ctrl-C stops it, the same command continues it."""
    from rapport_training.data.about import command_line
    from rapport_training.data.builder import check_target
    from rapport_training.data.genuser import Target, build_genuser
    from rapport_training.data.genuser_profiles import Asking

    out: Path = options["out"]
    check_target(out, overwrite=options["overwrite"])  # before the pictures are read
    captioner = make_captioner(options)
    asking = Asking(
        ledger=options["ledger"] or out.with_name(f"{out.name}.jsonl"),
        concurrency=options["concurrency"],
        budget=options["budget"],
        skip_unanswered=options["skip_unanswered"],
        refuse_long=options["long_captions"] == "refuse",
    )
    target = Target(out, command_line(context), options["processes"] or os.cpu_count() or 1, options["overwrite"])
    try:
        summary = build_genuser(_source(options), captioner, asking, options["splits"], target)
    finally:
        captioner.close()
    counts = ", ".join(f"{split.rows} {name}" for name, split in summary.splits.items())
    click.echo(f"made: {out} ({counts})")


def make_captioner(options: dict[str, Any]) -> Captioner:
    """The captioner that the command's options ask for.

    Raises:
        SettingsError: if options are missing or contradict one another, or there is no key.
    """
    if options["budget"] is not None and not (options["price_in"] or options["price_out"]):
        raise SettingsError("--budget counts nothing without --price-in and --price-out")
    if options["kind"] == "template":
        from rapport_training.data.captioners.template import TemplateCaptioner

        return TemplateCaptioner()
    if not options["model"]:
        raise SettingsError(f"--captioner {options['kind']} needs --model")
    if options["kind"] == "vision-language":
        from rapport_training.data.captioners.vision_language import VisionLanguageCaptioner

        return VisionLanguageCaptioner(options["model"], options["max_tokens"])
    from rapport_training.data.captioners.endpoint import Endpoint, EndpointCaptioner

    names = ("base_url", "model", "key_variable", "max_tokens", "requests_per_minute", "timeout", "retries")
    return EndpointCaptioner(Endpoint(**{name: options[name] for name in (*names, "price_in", "price_out")}))


def _source(options: dict[str, Any]) -> Source:
    from rapport_training.data.genuser_source import read_folder, read_parquet

    if bool(options["folder"]) == bool(options["faces"]):
        raise SettingsError("give either --folder or --faces")
    return read_folder(options["folder"]) if options["folder"] else read_parquet(options["faces"])
