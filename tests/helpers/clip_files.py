"""Writes the weights of an open_clip `CLIP` as files in the layouts that they are published in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

#: FaRL's masked image head at its true shapes: 17 tensors, 13,389,824 numbers.
FARL_SHAPES = {
    "mask_token": (768,),
    "lm_transformer.resblocks.0.attn.in_proj_weight": (2304, 768),
    "lm_transformer.resblocks.0.attn.in_proj_bias": (2304,),
    "lm_transformer.resblocks.0.attn.out_proj.weight": (768, 768),
    "lm_transformer.resblocks.0.attn.out_proj.bias": (768,),
    "lm_transformer.resblocks.0.ln_1.weight": (768,),
    "lm_transformer.resblocks.0.ln_1.bias": (768,),
    "lm_transformer.resblocks.0.mlp.c_fc.weight": (3072, 768),
    "lm_transformer.resblocks.0.mlp.c_fc.bias": (3072,),
    "lm_transformer.resblocks.0.mlp.c_proj.weight": (768, 3072),
    "lm_transformer.resblocks.0.mlp.c_proj.bias": (768,),
    "lm_transformer.resblocks.0.ln_2.weight": (768,),
    "lm_transformer.resblocks.0.ln_2.bias": (768,),
    "ln_lm.weight": (768,),
    "ln_lm.bias": (768,),
    "lm_head.weight": (8192, 768),
    "lm_head.bias": (8192,),
}


@torch.no_grad()
def give_lively_weights(model: nn.Module, seed: int = 0) -> None:
    """Random weights under which every part matters, the activation too; all are exact in half precision."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if parameter.ndim == 0:
            parameter.fill_(2.659)
            continue
        scale = 0.3 if parameter.ndim == 1 or "embedding" in name else 1.5 * parameter[0].numel() ** -0.5
        parameter.normal_(std=scale, generator=generator)
        if parameter.ndim == 1 and ".ln_" in f".{name}" and name.endswith("weight"):
            parameter.add_(1.0)
    for parameter in model.parameters():
        parameter.copy_(parameter.half().float())


def farl_head(seed: int = 1) -> dict[str, Tensor]:
    """Random tensors of FaRL's masked image head, without the prefix "visual."."""
    generator = torch.Generator().manual_seed(seed)
    return {name: 0.02 * torch.randn(shape, generator=generator) for name, shape in FARL_SHAPES.items()}


def openai_precision(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Half precision where OpenAI's `convert_weights` has it: convolutions, linear layers, attention, projections."""
    whole = ("ln_", "embedding", "logit_scale")
    return {name: value if any(part in name for part in whole) else value.half() for name, value in state.items()}


def openai_constants(model: nn.Module) -> dict[str, Tensor]:
    """What OpenAI's archives keep beside the weights."""
    numbers = {
        "input_resolution": model.visual.image_size[0],
        "context_length": model.context_length,
        "vocab_size": model.vocab_size,
    }
    return {name: torch.tensor(number) for name, number in numbers.items()}


def write_torchscript(state: Mapping[str, Tensor], constants: Mapping[str, Tensor], path: Path) -> None:
    """A TorchScript archive whose `state_dict()` has these tensors, as OpenAI's ViT-B-16.pt."""
    root = nn.Module()
    for name, value in state.items():
        *parents, last = name.split(".")
        module = root
        for parent in parents:
            if parent not in dict(module.named_children()):
                module.add_module(parent, nn.Module())
            module = module.get_submodule(parent)
        module.register_parameter(last, nn.Parameter(value, requires_grad=False))
    for name, value in constants.items():
        root.register_buffer(name, value)
    torch.jit.save(torch.jit.script(root), str(path))


@torch.no_grad()
def fill_transformers(target: nn.Module, source: nn.Module) -> None:
    """Copies open_clip's `CLIP` into transformers' `CLIPModel`, module by module."""
    vision, text = target.vision_model, target.text_model
    vision.embeddings.class_embedding.copy_(source.visual.class_embedding)
    vision.embeddings.patch_embedding.weight.copy_(source.visual.conv1.weight)
    vision.embeddings.position_embedding.weight.copy_(source.visual.positional_embedding)
    text.embeddings.token_embedding.weight.copy_(source.token_embedding.weight)
    text.embeddings.position_embedding.weight.copy_(source.positional_embedding)
    _copy(vision.pre_layrnorm, source.visual.ln_pre)
    _copy(vision.post_layernorm, source.visual.ln_post)
    _copy(text.final_layer_norm, source.ln_final)
    target.visual_projection.weight.copy_(source.visual.proj.T)
    target.text_projection.weight.copy_(source.text_projection.T)
    target.logit_scale.copy_(source.logit_scale)
    for ours, theirs in ((source.visual.transformer, vision.encoder), (source.transformer, text.encoder)):
        for block, layer in zip(ours.resblocks, theirs.layers, strict=True):
            _fill_layer(layer, block)


def _fill_layer(layer: nn.Module, block: nn.Module) -> None:
    parts = (layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj)
    weights, biases = block.attn.in_proj_weight.chunk(3), block.attn.in_proj_bias.chunk(3)
    for part, weight, bias in zip(parts, weights, biases, strict=True):
        part.weight.copy_(weight)
        part.bias.copy_(bias)
    _copy(layer.self_attn.out_proj, block.attn.out_proj)
    _copy(layer.layer_norm1, block.ln_1)
    _copy(layer.layer_norm2, block.ln_2)
    _copy(layer.mlp.fc1, block.mlp.c_fc)
    _copy(layer.mlp.fc2, block.mlp.c_proj)


def _copy(target: nn.Module, source: nn.Module) -> None:
    target.weight.copy_(source.weight)
    target.bias.copy_(source.bias)
