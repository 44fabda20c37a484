"""Models that a command names: run folders, and recipes with published weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rapport_edge.errors import SettingsError
from rapport_training.demographic.commands import recipe_path
from rapport_training.demographic.evaluation.evaluate import Subject
from rapport_training.demographic.evaluation.suite import OUT_OF_THE_BOX
from rapport_training.demographic.recipe import load_recipe
from rapport_training.demographic.run import encoder_from, load_run, recipe_of

#: The variant of a run that no suite knows.
TRAINED = "trained"


def subjects_of(runs: Sequence[Path], recipes: Sequence[str], weights: Sequence[Path]) -> Iterator[Subject]:
    """One model after the other, so that one is in memory at a time.

    Args:
        runs: folders of `rapport-train demographic fit`; two of one name are told apart by their folders.
        recipes, weights: models out of the box: the i-th recipe's model with the i-th file of weights.

    Raises:
        SettingsError: if nothing is named, or something that is not there.
    """
    if len(recipes) != len(weights):
        raise SettingsError(
            f"{len(recipes)} --recipe and {len(weights)} --weights: each recipe needs one file of weights"
        )
    if not runs and not recipes:
        raise SettingsError("name at least one model with --run FOLDER, or with --recipe NAME --weights FILE")
    for recipe, file in zip(recipes, weights, strict=True):
        settings = load_recipe(recipe_path(recipe))
        yield Subject(settings.name, OUT_OF_THE_BOX, None, encoder_from(settings, file))
    for label, run in labels_of(runs).items():
        encoder = load_run(run)
        yield Subject(label, TRAINED, recipe_of(run).seed, encoder, run)


def labels_of(runs: Sequence[Path]) -> dict[str, Path]:
    """Runs by the shortest end of their path that tells them apart."""
    resolved = [run.resolve() for run in dict.fromkeys(runs)]
    for length in range(1, max((len(run.parts) for run in resolved), default=0) + 1):
        labels = {"/".join(run.parts[-length:]): run for run in resolved}
        if len(labels) == len(set(resolved)):
            return labels
    return {}
