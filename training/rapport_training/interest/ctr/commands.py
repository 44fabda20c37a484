"""`rapport-train interest fit` and `evaluate`: click-through-rate models on prepared samples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rapport_training.seeds import LARGEST_SEED

if TYPE_CHECKING:
    from rapport_training.interest.ctr.recipe import CtrRecipe
    from rapport_training.interest.data.content_table import ContentTable
    from rapport_training.interest.data.prepared import PreparedLog

_PATH = click.Path(path_type=Path)
_RUN = click.option("--run", type=_PATH, required=True, help="Folder of the run: checkpoints, curves, what went in.")
_DATA = click.option("--data", type=_PATH, required=True, help="Prepared samples; see 'interest prepare'.")
_CENTRE = click.option("--centre", help="Representation centre with the items' content: a folder, or redis://...")


@click.command()
@_RUN
@_DATA
@_CENTRE
@click.option("--recipe", default="tuned-din", show_default=True, help="Name of a shipped recipe, or a file.")
@click.option("--seed", type=click.IntRange(0, LARGEST_SEED), help="Instead of the recipe's.")
@click.option("--resume/--no-resume", default=True, help="Continue where an earlier run in the folder stopped.")
@click.option("--devices", type=click.IntRange(min=1), help="GPUs, or processes on the CPU.  [default: GPUs, or 1]")
def fit(
    run: Path, data: Path, centre: str | None, recipe: str, seed: int | None, resume: bool, devices: int | None
) -> None:
    """Trains a click-through-rate model; Ctrl-C stops it, the same command continues it."""
    from rapport_training.interest.ctr.fit import fit_ctr
    from rapport_training.interest.ctr.recipe import load_ctr_recipe
    from rapport_training.interest.data.prepared import PreparedLog

    settings, prepared = load_ctr_recipe(recipe), PreparedLog.open(data)
    content = centre_content(settings, prepared, centre)
    checkpoint = fit_ctr(settings, prepared, run, content=content, seed=seed, resume=resume, devices=devices or "auto")
    click.echo(f"trained: {checkpoint}")


@click.command()
@_RUN
@_DATA
@_CENTRE
@click.option("--split", type=click.Choice(["validation", "test"]), default="test", show_default=True)
def evaluate(run: Path, data: Path, centre: str | None, split: str) -> None:
    """Prints a run's AUC, GAUC and log loss, the protocol, and what needs no model to be known."""
    from rapport_training.interest.ctr.evaluation import evaluate_ctr
    from rapport_training.interest.ctr.run import check_same_data, load_ctr, record_of
    from rapport_training.interest.data.leakage import leakage_report
    from rapport_training.interest.data.prepared import PreparedLog

    model, recipe = load_ctr(run)
    prepared = PreparedLog.open(data)
    content = centre_content(recipe, prepared, centre)
    check_same_data(record_of(run), prepared, content)
    _, found = evaluate_ctr(model, prepared, split, content)  # type: ignore[arg-type]
    click.echo(f"{recipe.name} on {prepared.name}, {split} ({found.n:,} samples); protocol: {prepared.protocol}")
    click.echo(f"AUC {found.auc:.4f}  GAUC {found.gauc:.4f}  log loss {found.log_loss:.4f}")
    click.echo(leakage_report(prepared, split=split).line())  # type: ignore[arg-type]


def centre_content(recipe: CtrRecipe, prepared: PreparedLog, centre: str | None) -> ContentTable | None:
    """The centre's vectors of these items; None for a recipe without MIM's modules.

    Raises:
        SettingsError: if there is no centre for a recipe that needs it, or one for a recipe that would not read it.
    """
    from rapport_edge.errors import SettingsError
    from rapport_training.interest.centre_content import content_of

    if not recipe.uses_content:
        if centre is not None:
            raise SettingsError(f"recipe {recipe.name} has none of MIM's modules (mim): it would not read the --centre")
        return None
    if centre is None:
        raise SettingsError("the recipe has MIM's modules, which need the items' content: name a --centre")
    return content_of(prepared.item_ids, centre)
