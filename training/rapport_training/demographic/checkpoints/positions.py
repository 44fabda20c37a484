"""Position embeddings for another size of picture or another length of context than the checkpoint's."""

from __future__ import annotations

import math
from collections.abc import Mapping

from open_clip.model import resize_pos_embed
from timm.layers import resample_abs_pos_embed
from torch import Tensor, nn

from rapport_training.demographic.model import CLIP, CustomTextCLIP

_IMAGE, _TIMM = "visual.positional_embedding", "visual.trunk.pos_embed"
#: Names of position embeddings, by which an error can tell that resizing would help.
POSITIONS = (_IMAGE, _TIMM, "positional_embedding", "text.positional_embedding")


def resize_positions(weights: Mapping[str, Tensor], model: CLIP | CustomTextCLIP) -> dict[str, Tensor]:
    """The weights with position embeddings that fit the model, wherever that is possible.

    The image tower's grid is resampled (bicubic, antialiased) and its class token kept. The text tower's are only cut:
    captions are padded at their end, so the first positions mean the same in a shorter context; a longer context than
    the checkpoint was trained with is not made up.
    """
    fitting = dict(weights)
    _resize_image(fitting, model)
    for name in ("positional_embedding", "text.positional_embedding"):
        wanted, found = model.state_dict().get(name), fitting.get(name)
        if wanted is not None and found is not None and found.ndim == 2 and len(found) > len(wanted):
            fitting[name] = found[: len(wanted)]
    return fitting


def _resize_image(weights: dict[str, Tensor], model: CLIP | CustomTextCLIP) -> None:
    found = weights.get(_IMAGE)
    if found is not None and found.ndim == 2 and _is_grid(len(found) - 1):
        weights[_IMAGE] = found.float()  # half precision has no bicubic kernel everywhere
        resize_pos_embed(weights, model)
    found, trunk = weights.get(_TIMM), getattr(model.visual, "trunk", None)
    if found is not None and found.ndim == 3 and isinstance(trunk, nn.Module):
        prefix = 0 if getattr(trunk, "no_embed_class", False) else getattr(trunk, "num_prefix_tokens", 0)
        patches = getattr(trunk, "patch_embed", None)
        if patches is not None and _is_grid(found.shape[1] - prefix):
            weights[_TIMM] = resample_abs_pos_embed(found.float(), list(patches.grid_size), num_prefix_tokens=prefix)


def _is_grid(count: int) -> bool:
    """Whether so many places fill a square."""
    return count > 0 and math.isqrt(count) ** 2 == count
