"""A run folder: what went in, what came out, and how to read it back.

The files of every run (`run_folder`), and
trained_on.npy  which pictures it learned from
events.*        TensorBoard's
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from rapport_edge.atomic import write_atomically
from rapport_edge.errors import SettingsError
from rapport_training.data.user_faces import UserFaces
from rapport_training.demographic.checkpoints import load_weights
from rapport_training.demographic.dual_encoder import DualEncoder
from rapport_training.demographic.model import build_model, build_tokenizer
from rapport_training.demographic.recipe import Recipe, encode_recipe, load_recipe
from rapport_training.run_folder import BEST, LAST, PACKAGES, Provenance, begin, provenance

TRAINED_ON = "trained_on.npy"


class RunRecord(Provenance, frozen=True, kw_only=True):
    """Everything needed to repeat a run, beside its recipe.

    Attributes:
        data: path of the data set as it was given.
        train, val: digests of its splits.
        weights, image_tokenizer: SHA-256 of the files that training started from; "" for none.
    """

    data: str
    train: str
    val: str
    weights: str = ""
    image_tokenizer: str = ""


def new_record(data: Path, train: UserFaces, val: UserFaces, files: Mapping[str, str]) -> RunRecord:
    """A record of the process that is running.

    Args:
        data: folder of the data set.
        train, val: its splits.
        files: digests of "weights" and "image_tokenizer", where there are any.
    """
    return RunRecord(
        data=str(data),
        train=train.digest,
        val=val.digest,
        **provenance((*PACKAGES, "open_clip_torch", "timm", "opencv-python")),
        **files,
    )


def begin_run(run: Path, recipe: Recipe, record: RunRecord) -> None:
    """Writes recipe.yaml and run.json, or checks that the folder's are of the same run.

    Raises:
        SettingsError: if the folder holds another run, with what differs.
    """
    begin(run, encode_recipe(recipe), record, ("train", "val", "weights", "image_tokenizer"))


def write_trained_on(run: Path, content: NDArray[np.str_]) -> None:
    """Keeps which pictures the run learns from, so that an evaluation notices when it is asked about them.

    Args:
        run: the folder.
        content: (n,) SHA-256 of the training pictures, hexadecimal.
    """
    buffer = io.BytesIO()
    np.save(buffer, _short(content))
    write_atomically(run / TRAINED_ON, buffer.getvalue())


def seen_in_training(run: Path, content: NDArray[np.str_]) -> int:
    """How many of these pictures the run was trained on; 0 for a run that did not keep it."""
    path = run / TRAINED_ON
    return int(np.isin(_short(content), np.load(path)).sum()) if path.is_file() else 0


def _short(content: NDArray[np.str_]) -> NDArray[np.uint64]:
    return np.array([int(digest[:16], 16) for digest in content], dtype=np.uint64)


def result_of(run: Path, recipe: Recipe) -> Path:
    """The checkpoint that a run is for: of the lowest validation loss where it stops early, else the last."""
    return run / "checkpoints" / (BEST if recipe.patience else LAST)


def recipe_of(run: Path) -> Recipe:
    """The recipe of a run folder, with its seed."""
    return load_recipe(run / "recipe.yaml")


def load_run(run: Path) -> DualEncoder:
    """The trained model of a run folder.

    Raises:
        SettingsError: if there is no such run, or it has no checkpoint yet.
    """
    recipe = recipe_of(run)
    checkpoint = result_of(run, recipe)
    if not checkpoint.is_file():
        raise SettingsError(f"{run} has no {checkpoint.name} yet; train with 'rapport-train demographic fit'")
    return encoder_from(recipe, checkpoint)


def encoder_from(recipe: Recipe, weights: Path, name: str = "") -> DualEncoder:
    """A recipe's model with the weights of a file, on a GPU where there is one: out of the box, nothing is trained."""
    model = build_model(recipe.model)
    load_weights(model, weights)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return DualEncoder(
        name=name or recipe.name,
        model=model.to(device).eval(),
        tokenizer=build_tokenizer(recipe.model),
        template=recipe.final_template,
        pixels=recipe.pixels,
    )
