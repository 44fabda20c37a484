"""A run folder: what went in, what came out, and how to read it back.

recipe.yaml    the recipe with the seed that was used
run.json       data sets, weights and tokenizer by digest, versions, commit, command
checkpoints/   last.ckpt and, where the recipe stops early, best.ckpt
history.csv    every epoch's figures; curves.png draws them
events.*       TensorBoard's
"""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from rapport_edge.atomic import write_atomically
from rapport_edge.errors import SettingsError
from rapport_training.commit import current_commit
from rapport_training.data.user_faces import UserFaces
from rapport_training.demographic.checkpoints import load_weights
from rapport_training.demographic.dual_encoder import DualEncoder
from rapport_training.demographic.model import build_model, build_tokenizer
from rapport_training.demographic.recipe import Recipe, encode_recipe, load_recipe

LAST, BEST, FINISHED, TRAINED_ON = "last.ckpt", "best.ckpt", "finished", "trained_on.npy"

_PACKAGES = ("torch", "lightning", "open_clip_torch", "timm", "numpy", "opencv-python", "rapport-training")


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Everything needed to repeat a run, beside its recipe.

    Attributes:
        data: path of the data set as it was given.
        train, val: digests of its splits.
        weights, image_tokenizer: SHA-256 of the files that training started from; "" for none.
        command, commit, versions: what ran.
    """

    data: str
    train: str
    val: str
    weights: str = ""
    image_tokenizer: str = ""
    command: str = ""
    commit: str = ""
    versions: dict[str, str] = {}


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
        command=" ".join(["rapport-train", *sys.argv[1:]]),
        commit=current_commit(),
        versions={name: version(name) for name in _PACKAGES},
        **files,
    )


def begin(run: Path, recipe: Recipe, record: RunRecord) -> None:
    """Writes recipe.yaml and run.json, or checks that the folder's are of the same run.

    Raises:
        SettingsError: if the folder holds another run, with what differs.
    """
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"cannot make the run folder {run}: {error.strerror}") from error
    if not checkpoints(run):
        write_atomically(run / "recipe.yaml", encode_recipe(recipe))
        write_atomically(run / "run.json", msgspec.json.format(msgspec.json.encode(record)) + b"\n")
        return
    before = read_record(run)
    differing = [name for name in ("train", "val", "weights", "image_tokenizer") if _differ(before, record, name)]
    if recipe_of(run) != recipe:
        differing.insert(0, "recipe")
    if differing:
        raise SettingsError(
            f"{run} holds a run with another {', '.join(differing)}; take another --run, or --no-resume to start over"
        )


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


def read_record(run: Path) -> RunRecord:
    """run.json.

    Raises:
        SettingsError: if it is missing or damaged.
    """
    try:
        return msgspec.json.decode((run / "run.json").read_bytes(), type=RunRecord)
    except (OSError, msgspec.MsgspecError) as error:
        raise SettingsError(f"{run} is not a run folder: run.json: {error}") from error


def checkpoints(run: Path) -> list[Path]:
    """The run's checkpoints."""
    return sorted((run / "checkpoints").glob("*.ckpt"))


def result_of(run: Path, recipe: Recipe) -> Path:
    """The checkpoint that a run is for: of the lowest validation loss where it stops early, else the last."""
    return run / "checkpoints" / (BEST if recipe.patience else LAST)


def is_finished(run: Path) -> bool:
    """Whether the training ended by itself: all epochs done, or stopped early."""
    return (run / FINISHED).is_file()


def mark_finished(run: Path) -> None:
    """Says that the training ended by itself."""
    write_atomically(run / FINISHED, b"")


def discard(run: Path) -> None:
    """Removes what an earlier run in this folder trained."""
    for path in [*checkpoints(run), run / FINISHED]:
        path.unlink(missing_ok=True)


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


def _differ(a: RunRecord, b: RunRecord, name: str) -> bool:
    return bool(getattr(a, name) != getattr(b, name))
