"""The dual encoder, built by open_clip from a model configuration of its own format."""

from __future__ import annotations

from typing import Any

import torch
from open_clip.model import CLIP
from open_clip.tokenizer import SimpleTokenizer
from torch import Tensor


def build_model(config: dict[str, Any]) -> CLIP:
    """An open_clip `CLIP` with random weights.

    Args:
        config: embed_dim, vision_cfg and text_cfg, as in open_clip's model_configs/*.json; a timm image tower is
            vision_cfg["timm_model_name"].
    """
    return CLIP(
        embed_dim=config["embed_dim"],
        vision_cfg=dict(config["vision_cfg"]),
        text_cfg=dict(config["text_cfg"]),
        quick_gelu=bool(config.get("quick_gelu", False)),
    )


def build_tokenizer(config: dict[str, Any]) -> SimpleTokenizer:
    """CLIP's byte-pair tokenizer with the context length of the text tower."""
    return SimpleTokenizer(context_length=int(config["text_cfg"]["context_length"]))


@torch.no_grad()
def encode_prompts(model: CLIP, tokenizer: SimpleTokenizer, prompts: list[str]) -> Tensor:
    """(len(prompts), d) unit vectors."""
    device = model.logit_scale.device
    return model.encode_text(tokenizer(prompts).to(device), normalize=True)


__all__ = ["CLIP", "build_model", "build_tokenizer", "encode_prompts"]
