"""`rapport-train demographic ...`: the face encoder's life from faces to a bundle."""

from __future__ import annotations

from pathlib import Path

import click

from rapport_edge.errors import SettingsError

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


def recipe_path(name: str) -> Path:
    """The file of a shipped recipe, or the file itself.

    Raises:
        SettingsError: if it is neither, with the names of the shipped ones.
    """
    folder = Path(__file__).parent.parent / "recipes"
    shipped = folder / f"{name}.yaml"
    if shipped.is_file():
        return shipped
    if Path(name).is_file():
        return Path(name)
    names = ", ".join(sorted(path.stem for path in folder.glob("*.yaml")))
    raise SettingsError(f"{name!r} is neither a file nor a shipped recipe ({names})")
