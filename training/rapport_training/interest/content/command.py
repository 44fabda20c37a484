"""`rapport-train interest pretrain` and `interest csft`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rapport_training.seeds import LARGEST_SEED

_PATH = click.Path(path_type=Path)


def _options(command: Any) -> Any:
    for option in reversed(
        [
            click.option("--log", type=_PATH, required=True, help="Behaviour log, as 'interest data' writes it."),
            click.option("--recipe", default="compact", show_default=True, help="Name of a shipped recipe, or a file."),
            click.option("--run", type=_PATH, required=True, help="Folder of the run: checkpoints, curves, inputs."),
            click.option("--seed", type=click.IntRange(0, LARGEST_SEED), help="Instead of the recipe's."),
            click.option("--resume/--no-resume", default=True, help="Continue an earlier run in the folder."),
            click.option("--devices", type=click.IntRange(min=1), help="GPUs, or processes on the CPU."),
        ]
    ):
        command = option(command)
    return command


@click.command()
@_options
@click.option("--image-tokenizer", type=_PATH, help="Its tokens are predicted.  [default: trained on the catalogue]")
@click.option("--plain", is_flag=True, help="Train nothing: the run holds the foundation models as they are.")
def pretrain(
    log: Path, recipe: str, run: Path, devices: int | None, image_tokenizer: Path | None, plain: bool, **options: Any
) -> None:
    """Adapts image and text tower to a log's items, and aligns them (Section 3.2); Ctrl-C stops, again continues."""
    import msgspec

    from rapport_training.interest.content.pretraining.fit import fit_pretraining
    from rapport_training.interest.content.recipe import content_recipe_path, load_content_recipe
    from rapport_training.interest.data.log import BehaviourLog

    settings = load_content_recipe(content_recipe_path(recipe))
    if plain:
        nothing = msgspec.structs.replace(settings.pretraining, dda_epochs=0, dma_epochs=0)
        settings = msgspec.structs.replace(settings, pretraining=nothing)
    checkpoint = fit_pretraining(
        settings, BehaviourLog.open(log), run, devices=devices or "auto", image_tokenizer=image_tokenizer, **options
    )
    click.echo(f"{'written' if plain else 'trained'}: {checkpoint}")


@click.command()
@_options
@click.option("--start", type=_PATH, help="Run of 'interest pretrain' to start from.  [default: plain towers]")
@click.option("--data", type=_PATH, help="Prepared samples: only what they train on teaches.")
@click.option("--until", type=int, help="Unix seconds (or order): no later event teaches.")
@click.option("--leave-last", type=click.IntRange(min=1), help="Each user's last so many liked items do not.")
@click.option("--all-events", is_flag=True, help="Everything teaches: for an encoder that no test will judge.")
def csft(  # noqa: PLR0913 - options of the command line
    log: Path,
    recipe: str,
    run: Path,
    devices: int | None,
    data: Path | None,
    until: int | None,
    leave_last: int | None,
    all_events: bool,
    **options: Any,
) -> None:
    """Fine-tunes the encoder on what users liked (Section 3.3); Ctrl-C stops it, the same command continues it.

    One of --data, --until, --leave-last and --all-events says which events teach: an encoder that learned from a test
    makes its figures worthless.
    """
    from rapport_edge.errors import SettingsError
    from rapport_training.interest.content.csft.bounds import Bounds, bounds_of, bounds_until
    from rapport_training.interest.content.csft.fit import fit_csft
    from rapport_training.interest.content.recipe import content_recipe_path, load_content_recipe
    from rapport_training.interest.data.log import BehaviourLog
    from rapport_training.interest.data.prepared import PreparedLog

    if sum([data is not None, until is not None, leave_last is not None, all_events]) != 1:
        raise SettingsError("say which events teach: one of --data PREPARED, --until, --leave-last and --all-events")
    events = BehaviourLog.open(log)
    bounds = Bounds(leave_last=leave_last or 0)
    if data is not None:
        bounds = bounds_of(PreparedLog.open(data), events)
    elif until is not None:
        bounds = bounds_until(until, events)
    settings = load_content_recipe(content_recipe_path(recipe))
    checkpoint = fit_csft(settings, events, run, devices=devices or "auto", bounds=bounds, **options)
    click.echo(f"trained: {checkpoint}")
