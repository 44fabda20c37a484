"""Names of transformers' `CLIPModel` to those of open_clip's `CLIP`.

Its conversion script (convert_clip_original_pytorch_to_hf.py) split the joint projection of query, key and value in
three and stored both output projections as layers, that is transposed; both are undone here. Which token the text tower
reads out is no question of names: a configuration with the old eos_token_id 2 takes the token with the highest
number, one with 49407 the first end token, and with CLIP's vocabulary both are the place that open_clip takes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

_TOWERS = {"vision_model.": "visual.", "text_model.": ""}
_OUTSIDE_BLOCKS = {
    "vision_model.embeddings.class_embedding": "visual.class_embedding",
    "vision_model.embeddings.patch_embedding.weight": "visual.conv1.weight",
    "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
    "vision_model.pre_layrnorm.weight": "visual.ln_pre.weight",  # the misspelling is theirs
    "vision_model.pre_layrnorm.bias": "visual.ln_pre.bias",
    "vision_model.post_layernorm.weight": "visual.ln_post.weight",
    "vision_model.post_layernorm.bias": "visual.ln_post.bias",
    "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
    "text_model.final_layer_norm.weight": "ln_final.weight",
    "text_model.final_layer_norm.bias": "ln_final.bias",
}
_TRANSPOSED = {"visual_projection.weight": "visual.proj", "text_projection.weight": "text_projection"}
_IN_BLOCK = {
    "self_attn.out_proj": "attn.out_proj",
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}
_BLOCK = re.compile(r"(vision_model\.|text_model\.)encoder\.layers\.(\d+)\.(.+)\.(weight|bias)")
_POSITION_IDS = re.compile(r"(vision_model|text_model)\.embeddings\.position_ids")


def from_transformers(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same weights under open_clip's names; names that are not CLIPModel's stay as they are."""
    kept = {name: tensor for name, tensor in tensors.items() if not _POSITION_IDS.fullmatch(name)}
    joined = _join_projections(kept)
    return {_renamed(name): tensor.T if name in _TRANSPOSED else tensor for name, tensor in joined.items()}


def _renamed(name: str) -> str:
    block = _BLOCK.fullmatch(name)
    if block is None:
        return (_OUTSIDE_BLOCKS | _TRANSPOSED).get(name, name)
    tower, number, part, kind = block.groups()
    if part == "self_attn.in_proj":
        return f"{_TOWERS[tower]}transformer.resblocks.{number}.attn.in_proj_{kind}"
    if part not in _IN_BLOCK:
        return name
    return f"{_TOWERS[tower]}transformer.resblocks.{number}.{_IN_BLOCK[part]}.{kind}"


def _join_projections(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Stacks query, key and value, in this order, wherever all three are there and of one shape."""
    for query in [name for name in tensors if ".self_attn.q_proj." in name]:
        names = [query.replace(".q_proj.", f".{part}_proj.") for part in "qkv"]
        if len({tensors[name].shape for name in names if name in tensors}) == 1 and all(n in tensors for n in names):
            joint = torch.cat([tensors.pop(name) for name in names])
            tensors[query.replace(".q_proj.", ".in_proj.")] = joint
    return tensors
