"""What neither names nor shapes of tensors show, yet decides what a tower computes: activation, heads, epsilon.

Weights trained with QuickGELU, x * sigmoid(1.702 x), load without complaint into a model with GELU, and the other way
round; so do weights of 12 heads into a model with 8. The answers are then quietly wrong.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from open_clip.transformer import QuickGELU
from torch import nn

from rapport_training.demographic.checkpoints.errors import CheckpointError
from rapport_training.demographic.checkpoints.layouts import Checkpoint
from rapport_training.demographic.model import CLIP, CustomTextCLIP

TOWERS = ("image", "text")

_ADVICE = {"quick_gelu": "; set quick_gelu: true in the model, or take the model whose name ends in -quickgelu"}


@dataclass(frozen=True)
class Traits:
    """Of one tower; None stands for "not known".

    Attributes:
        activation: "quick_gelu", "gelu", "gelu_tanh", or the class's name for another.
        heads: attention heads of a block.
        epsilon: of the normalisation layers.
    """

    activation: str | None = None
    heads: int | None = None
    epsilon: float | None = None


def check_traits(model: CLIP | CustomTextCLIP, checkpoint: Checkpoint) -> None:
    """Refuses a model that would compute something else with these weights than what they were trained in.

    Raises:
        CheckpointError: naming the tower, the trait and both values.
    """
    stated = traits_of_checkpoint(checkpoint)
    for tower, found in traits_of_model(model).items():
        for trait in (entry.name for entry in fields(Traits)):
            theirs, ours = getattr(stated[tower], trait), getattr(found, trait)
            if theirs is not None and ours is not None and theirs != ours:
                raise CheckpointError(
                    f"{checkpoint.file} ({checkpoint.layout} layout) was trained with {trait} {theirs} in the {tower} "
                    f"tower, but the model has {ours}, which computes something else{_ADVICE.get(theirs, '')}"
                )


def traits_of_checkpoint(checkpoint: Checkpoint) -> dict[str, Traits]:
    """By tower, from what the layout implies or from the configuration beside the file."""
    if checkpoint.layout in ("openai", "farl"):
        return {
            "image": Traits("quick_gelu", _heads(checkpoint, "visual.ln_post.weight"), 1e-5),
            "text": Traits("quick_gelu", _heads(checkpoint, "ln_final.weight"), 1e-5),
        }
    if checkpoint.layout == "transformers":
        config = _json(checkpoint.file.parent / "config.json")
        return {
            "image": _of_transformers(config, "vision_config", 12),
            "text": _of_transformers(config, "text_config", 8),
        }
    if checkpoint.layout == "open_clip":
        return _of_open_clip(_json(checkpoint.file.parent / "open_clip_config.json").get("model_cfg", {}))
    return dict.fromkeys(TOWERS, Traits())


def traits_of_model(model: CLIP | CustomTextCLIP) -> dict[str, Traits]:
    """By tower; nothing is known of towers that are not open_clip's own transformers."""
    text = model.text if isinstance(model, CustomTextCLIP) else model
    return {"image": _of_tower(model.visual), "text": _of_tower(text)}


def _of_tower(tower: nn.Module) -> Traits:
    blocks = getattr(getattr(tower, "transformer", None), "resblocks", None)
    if not blocks:
        return Traits()
    block = blocks[0]  # all are built alike
    return Traits(_activation(block.mlp.gelu), getattr(block.attn, "num_heads", None), getattr(block.ln_1, "eps", None))


def _activation(module: nn.Module) -> str:
    if isinstance(module, QuickGELU):
        return "quick_gelu"
    if isinstance(module, nn.GELU):
        return "gelu_tanh" if module.approximate == "tanh" else "gelu"
    return type(module).__name__


def _heads(checkpoint: Checkpoint, norm: str) -> int | None:
    """OpenAI's builder gives a transformer one head for every 64 channels."""
    weight = checkpoint.weights.get(norm)
    return None if weight is None else weight.shape[0] // 64


def _of_transformers(config: Mapping[str, Any], tower: str, heads: int) -> Traits:
    """Older files leave out what equals CLIPConfig's defaults."""
    if config.get("model_type") != "clip":
        return Traits()
    own = config.get(tower) or {}
    activation = own.get("hidden_act", "quick_gelu")
    tanh = activation in ("gelu_new", "gelu_pytorch_tanh")
    return Traits(
        "gelu_tanh" if tanh else activation, own.get("num_attention_heads", heads), own.get("layer_norm_eps", 1e-5)
    )


def _of_open_clip(config: Mapping[str, Any]) -> dict[str, Traits]:
    if not config or config.get("vision_cfg", {}).get("timm_model_name"):
        return dict.fromkeys(TOWERS, Traits())
    vision, text = config.get("vision_cfg", {}), config.get("text_cfg", {})
    activation = "quick_gelu" if config.get("quick_gelu") else None  # GELU may be varied by act_kwargs
    return {
        "image": Traits(activation, vision.get("width", 768) // vision.get("head_width", 64)),
        "text": Traits(activation, text.get("heads", 8)),
    }


def _json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
