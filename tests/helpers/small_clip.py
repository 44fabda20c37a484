"""Small CLIP models, files of them, and what `load_weights` says when it refuses one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from clip_files import fill_transformers, give_lively_weights
from torch import Tensor
from transformers import CLIPConfig, CLIPModel

from rapport_training.demographic.checkpoints import CheckpointError, load_weights
from rapport_training.demographic.model import CLIP, build_model

VISION = {"layers": 2, "width": 64, "image_size": 32, "patch_size": 8}
TEXT = {"context_length": 12, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 2}


def small(*, quick_gelu: bool = True, vision: dict[str, Any] | None = None, text: dict[str, Any] | None = None) -> CLIP:
    """One head of 64 channels in either tower, as OpenAI's rule has it."""
    towers = {"vision_cfg": {**VISION, **(vision or {})}, "text_cfg": {**TEXT, **(text or {})}}
    model = build_model({"embed_dim": 16, "quick_gelu": quick_gelu, **towers}).eval()
    give_lively_weights(model, seed=7)
    return model


def save(content: Any, path: Path) -> Path:
    """`torch.save` that returns where."""
    torch.save(content, path)
    return path


def refusal(path: Path, model: CLIP | None = None, **options: Any) -> str:
    """The error's text; the model must be left as it was."""
    model = small() if model is None else model
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(CheckpointError) as caught:
        load_weights(model, path, **options)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert "\n" not in str(caught.value)
    return str(caught.value)


def transformers_pair(state: dict[str, Tensor], folder: Path, activation: str = "quick_gelu") -> Path:
    """config.json and model.safetensors, as transformers writes them."""
    size = {"hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 1}
    size |= {"hidden_act": activation}
    config = CLIPConfig(
        vision_config={**size, "image_size": 32, "patch_size": 8},
        text_config={**size, "max_position_embeddings": 12},
        projection_dim=16,
    )
    model = small()
    model.load_state_dict(state)
    other = CLIPModel(config)
    fill_transformers(other, model)
    other.save_pretrained(folder)
    return folder
