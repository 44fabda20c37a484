"""`rapport-train demographic ...`: the face encoder's life from faces to a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rapport_training.demographic.evaluation.commands import evaluate, query, table
from rapport_training.yaml_files import RECIPES, shipped_or_own

_PATH = click.Path(path_type=Path)
_RUN = click.option("--run", type=_PATH, required=True, help="Folder of the run: checkpoints, curves, what went in.")


@click.group()
def demographic() -> None:
    """The face encoder: a CLIP-style dual encoder trained on faces and their captions."""


@demographic.command()
@_RUN
@click.option("--data", type=_PATH, required=True, help="Folder of a data set, as 'rapport-train data' writes it.")
@click.option("--recipe", default="demographic-tiny", show_default=True, help="Name of a shipped recipe, or a file.")
@click.option("--weights", type=_PATH, help="Checkpoint to start from, where the recipe asks for one.")
@click.option("--image-tokenizer", type=_PATH, help="For masked image modelling; see 'rapport-train tokenizer'.")
@click.option("--seed", type=click.IntRange(min=0), help="Instead of the recipe's.")
@click.option("--resume/--no-resume", default=True, help="Continue where an earlier run in the folder stopped.")
@click.option("--devices", type=click.IntRange(min=1), help="GPUs, or processes on the CPU.  [default: GPUs, or 1]")
def fit(run: Path, recipe: str, seed: int | None, resume: bool, devices: int | None, **files: Path) -> None:
    """Trains a model; Ctrl-C stops it, the same command continues it."""
    from rapport_training.demographic.fit import Inputs
    from rapport_training.demographic.fit import fit as run_fit
    from rapport_training.demographic.recipe import load_recipe

    settings = load_recipe(recipe_path(recipe))
    checkpoint = run_fit(settings, Inputs(**files), run, seed=seed, resume=resume, devices=devices or "auto")
    click.echo(f"trained: {checkpoint}")


@demographic.command()
@_RUN
@click.option("--data", type=_PATH, required=True, help="The run's data set: its val split calibrates.")
@click.option("--out", type=_PATH, required=True, help="Folder of the bundle.")
@click.option("--evaluate/--no-evaluate", default=True, help="Measure on the test split, for bundle and model card.")
@click.option("--attributes", default="age,gender", show_default=True, help="Heads; race needs a policy on the robot.")
@click.option(
    "--average-mirrored/--no-average-mirrored",
    default=None,
    help="Average each face with its mirror image.  [default: convolutional towers only]",
)
@click.option("--text/--no-text", default=None, help="The text tower.  [default: if trained on the view sentence]")
@click.option(
    "--open-vocabulary", is_flag=True, help="A text tower that knows every word; needs a policy on the robot."
)
@click.option("--version", default="1.0.0", show_default=True, help="Version of the bundle.")
@click.option("--overwrite", is_flag=True, help="Replace a bundle that is there.")
def export(
    run: Path, data: Path, out: Path, evaluate: bool, attributes: str, version: str, overwrite: bool, **options: Any
) -> None:
    """Writes a run's bundle: calibrated on the val split, measured on the test split."""
    from rapport_edge.bundle.writer import check_place
    from rapport_training.data.user_faces import UserFaces
    from rapport_training.demographic.export import ExportOptions, assemble, write
    from rapport_training.demographic.measure import measure
    from rapport_training.demographic.run import load_run, recipe_of

    check_place(out, overwrite)
    chosen = ExportOptions(attributes=tuple(name.strip() for name in attributes.split(",")), **options)
    trained = assemble(recipe_of(run), load_run(run), UserFaces.open(data, "val"), chosen)
    bundle = write(trained, out, version, None, overwrite=overwrite)
    if evaluate:
        test = UserFaces.open(data, "test")
        report = measure(bundle, test)
        bundle = write(trained, out, version, report, measured_on=f"{test.name} {test.split}", overwrite=True)
    size = sum(file.stat().st_size for file in bundle.path.iterdir()) / 1e6
    click.echo(f"exported: {bundle.path} ({size:.1f} MB; parity with PyTorch {trained.parity:.1e})")


@demographic.command("compare-peer")
@click.option("--bundle", "bundle_path", type=_PATH, help="Folder; default: the one installed.")
@click.option("--peer", type=_PATH, required=True, help="face-api.js's age and gender network as ONNX, 112 x 112.")
@click.option("--faces", type=_PATH, required=True, help="Parquet file of labelled faces.")
def compare_peer(bundle_path: Path | None, peer: Path, faces: Path) -> None:
    """Measures a bundle and a public age and gender network on the same faces, side by side."""
    from rapport_edge.bundle import default_bundle_path, load_bundle
    from rapport_training.demographic.measure import measure
    from rapport_training.peers.age_gender_112 import evaluate_peer

    theirs = evaluate_peer(peer, faces)
    ours = measure(load_bundle(bundle_path or default_bundle_path()), faces)
    click.echo(f"{'':24}{'bundle':>10}{'peer':>10}")
    click.echo(f"{'gender accuracy':24}{ours.gender_accuracy:10.3f}{theirs['gender_accuracy']:10.3f}")
    click.echo(f"{'mean age error, years':24}{ours.age_mae:10.2f}{theirs['age_mae']:10.2f}")


demographic.add_command(evaluate)
demographic.add_command(query)
demographic.add_command(table)


def recipe_path(name: str) -> Path:
    """The file of a shipped recipe, or the file itself.

    Raises:
        SettingsError: if it is neither, with the names of the shipped ones.
    """
    return shipped_or_own(name, RECIPES, "recipe")
