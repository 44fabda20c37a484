"""Puts a file's weights into a model: all of them or none, and never those of another model."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from open_clip.model import convert_to_custom_text_state_dict
from torch import Tensor

from rapport_training.demographic.checkpoints.comparison import compare, not_finite
from rapport_training.demographic.checkpoints.errors import CheckpointError
from rapport_training.demographic.checkpoints.layouts import Checkpoint, Layout, read_checkpoint
from rapport_training.demographic.checkpoints.positions import resize_positions as resized
from rapport_training.demographic.checkpoints.traits import check_traits
from rapport_training.demographic.model import CLIP, CustomTextCLIP


@dataclass(frozen=True)
class LoadedCheckpoint:
    """Where a model's weights came from.

    Attributes:
        layout: who wrote the file; see `layouts`.
        digest: SHA-256 of the file, hexadecimal.
        masked_image: float32 weights of a masked image head: FaRL's 17 under their names without "visual.", or those
            of a run; empty if the file holds none.
    """

    layout: Layout
    digest: str
    masked_image: dict[str, Tensor] = field(default_factory=dict)


def load_weights(model: CLIP | CustomTextCLIP, path: Path, *, resize_positions: bool = False) -> LoadedCheckpoint:
    """Loads CLIP's weights in any layout of `layouts`; half precision becomes the model's own.

    Args:
        model: from `build_model`; left as it was if the file is refused.
        path: a file, or a folder with one of `files.WEIGHT_NAMES`.
        resize_positions: resample position embeddings that were learnt for another size of picture, and cut those of a
            longer context.

    Raises:
        CheckpointError: if the file cannot be read, holds more than tensors, holds NaN or infinity, has other tensors
            than the model, or was trained with another activation.
    """
    checkpoint = read_checkpoint(path)
    weights = fitted(model, checkpoint, resize_positions=resize_positions)
    model.load_state_dict(weights)
    head = {name: tensor.float().clone() for name, tensor in checkpoint.masked_image.items()}
    return LoadedCheckpoint(checkpoint.layout, _digest(checkpoint.file), head)


def fitted(
    model: CLIP | CustomTextCLIP, checkpoint: Checkpoint, *, resize_positions: bool = False
) -> Mapping[str, Tensor]:
    """The checkpoint's weights under the model's own names, after everything that is checked has been.

    Raises:
        CheckpointError: as `load_weights`.
    """
    where = f"{checkpoint.file} ({checkpoint.layout} layout)"
    weights = _matched(model, checkpoint.weights)
    if resize_positions:
        weights = resized(weights, model)
    comparison = compare(weights, model)
    if not comparison.fits:
        raise CheckpointError(f"{where} does not fit the model: {comparison.describe()}")
    check_traits(model, checkpoint)
    broken = not_finite({**weights, **checkpoint.masked_image})
    if broken:
        raise CheckpointError(f"{where} holds NaN or infinity in {len(broken)} tensors, the first is {broken[0]}")
    return weights


def _matched(model: CLIP | CustomTextCLIP, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The names of the model's class, and scalars of its shape: open_clip has two forms of either."""
    if isinstance(model, CustomTextCLIP):
        named = dict(convert_to_custom_text_state_dict(dict(weights)))
    else:
        named = {name.removeprefix("text."): tensor for name, tensor in weights.items()}
    for name in ("logit_scale", "logit_bias"):
        scalar = getattr(model, name, None)
        if scalar is not None and name in named and named[name].numel() == 1:
            named[name] = named[name].reshape(scalar.shape)
    return named


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
