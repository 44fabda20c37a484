"""E_MIM: FaRL's tensors fit, hidden pixels stay hidden, nothing hidden is the tower itself."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from rapport_edge.errors import SettingsError
from rapport_training.demographic.model import CLIP, build_model
from rapport_training.masked_image.head import MaskedImageHead, embed_patches
from rapport_training.masked_image.loss import masked_image_loss
from rapport_training.masked_image.masks import draw_masks

TEXT = {"context_length": 8, "vocab_size": 50, "width": 16, "heads": 2, "layers": 1}
VISION = {"image_size": 32, "layers": 2, "width": 64, "head_width": 16, "patch_size": 8}


def model(quick_gelu: bool = True, **vision: object) -> CLIP:
    torch.manual_seed(0)
    config = {"embed_dim": 16, "vision_cfg": VISION | vision, "text_cfg": TEXT, "quick_gelu": quick_gelu}
    return build_model(config).eval()


def farl_tensors(width: int = 768, vocabulary: int = 8192) -> dict[str, Tensor]:
    """The 17 tensors of FaRL's masked image head with their true names and shapes."""
    block = "lm_transformer.resblocks.0."
    shapes = {
        "mask_token": (width,),
        f"{block}attn.in_proj_weight": (3 * width, width),
        f"{block}attn.in_proj_bias": (3 * width,),
        f"{block}attn.out_proj.weight": (width, width),
        f"{block}attn.out_proj.bias": (width,),
        f"{block}mlp.c_fc.weight": (4 * width, width),
        f"{block}mlp.c_fc.bias": (4 * width,),
        f"{block}mlp.c_proj.weight": (width, 4 * width),
        f"{block}mlp.c_proj.bias": (width,),
        **{f"{block}{norm}.{part}": (width,) for norm in ("ln_1", "ln_2") for part in ("weight", "bias")},
        "ln_lm.weight": (width,),
        "ln_lm.bias": (width,),
        "lm_head.weight": (vocabulary, width),
        "lm_head.bias": (vocabulary,),
    }
    return {name: torch.randn(shape) * 0.02 for name, shape in shapes.items()}


@pytest.mark.parametrize("token_shape", [(768,), (1, 1, 768)])
def test_farls_tensors_load_strictly(token_shape) -> None:
    tower = model(width=768, head_width=64, image_size=64, patch_size=16).visual
    head = MaskedImageHead(tower, vocabulary=8192)
    tensors = farl_tensors()
    assert len(tensors) == 17
    assert sum(tensor.numel() for tensor in tensors.values()) == 13_389_824
    given = tensors | {"mask_token": tensors["mask_token"].view(token_shape)}
    head.load_state_dict(given, strict=True)
    for name, loaded in head.state_dict().items():
        assert torch.equal(loaded, tensors[name])
    assert head.lm_transformer.resblocks[0].attn.num_heads == 12


def test_nothing_hidden_is_the_tower_itself() -> None:
    tower = model().visual
    pixels = torch.randn(3, 3, 32, 32)
    embedded = embed_patches(tower, pixels, torch.zeros(3, 16, dtype=torch.bool), torch.randn(64))
    assert torch.equal(embedded, tower._embeds(pixels))
    pooled, _ = tower._pool(tower.transformer(embedded))
    assert torch.equal(pooled @ tower.proj, tower(pixels))


def test_hidden_pixels_do_not_reach_the_logits_and_visible_ones_do() -> None:
    tower = model().visual
    head = MaskedImageHead(tower, vocabulary=11).eval()
    mask = draw_masks("block", 2, 4, 6, np.random.default_rng(0))
    pixels = torch.randn(2, 3, 32, 32)
    hidden = mask.view(2, 1, 4, 4).repeat_interleave(8, 2).repeat_interleave(8, 3)
    logits = head(tower, pixels, mask)
    assert logits.shape == (12, 11)
    assert torch.equal(logits, head(tower, torch.where(hidden, 9.0, pixels), mask))
    assert not torch.equal(logits, head(tower, torch.where(hidden, pixels, 9.0), mask))


def test_logits_are_those_of_the_whole_picture_in_the_masks_order() -> None:
    tower = model().visual
    head = MaskedImageHead(tower, vocabulary=11, layers=2).eval()
    mask = draw_masks("random", 3, 4, 5, np.random.default_rng(1))
    pixels = torch.randn(3, 3, 32, 32)
    everywhere = head.lm_head(
        head.ln_lm(head.lm_transformer(tower.transformer(embed_patches(tower, pixels, mask, head.mask_token))))
    )
    assert torch.allclose(head(tower, pixels, mask), everywhere[:, 1:][mask], atol=1e-6)


def flops(work: Callable[[], Tensor]) -> int:
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def test_it_costs_one_pass_of_the_tower_one_block_and_a_classifier_at_masked_places() -> None:
    tower = model().visual
    head = MaskedImageHead(tower, vocabulary=8192)
    mask = draw_masks("block", 2, 4, 6, np.random.default_rng(0))
    pixels, tokens = torch.randn(2, 3, 32, 32), torch.randn(2, 17, 64)
    one_pass = flops(lambda: tower(pixels)) - 2 * 2 * 64 * 16  # less the projection of the pooled feature
    one_block = flops(lambda: tower.transformer.resblocks[0](tokens))
    classifier = 2 * int(mask.sum()) * 64 * 8192
    assert flops(lambda: head(tower, pixels, mask)) == one_pass + one_block + classifier


def step(checkpointing: bool) -> tuple[float, CLIP, MaskedImageHead]:
    """A loss and its gradients, the same in every call."""
    clip = model().train()
    clip.visual.set_grad_checkpointing(checkpointing)
    torch.manual_seed(1)
    head = MaskedImageHead(clip.visual, vocabulary=11)
    mask = draw_masks("block", 2, 4, 6, np.random.default_rng(0))
    loss = masked_image_loss(head(clip.visual, torch.randn(2, 3, 32, 32), mask), torch.randint(11, (2, 16)), mask)
    loss.backward()
    return float(loss.detach()), clip, head


def test_gradients_reach_head_and_tower() -> None:
    loss, clip, head = step(checkpointing=False)
    assert loss == pytest.approx(2.52, abs=0.3)  # ln 11 and the spread of random scores
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in head.parameters())
    untouched = {name for name, p in clip.visual.named_parameters() if p.grad is None}
    assert untouched == {"ln_post.weight", "ln_post.bias", "proj"}  # the pooled embedding's alone


def test_the_towers_checkpointing_is_kept_and_changes_no_gradient() -> None:
    plain_loss, plain, plain_head = step(checkpointing=False)
    loss, clip, head = step(checkpointing=True)
    assert head.lm_transformer.grad_checkpointing
    assert not plain_head.lm_transformer.grad_checkpointing
    assert loss == plain_loss
    assert torch.allclose(clip.visual.conv1.weight.grad, plain.visual.conv1.weight.grad, atol=1e-7)


@pytest.mark.parametrize("quick_gelu", [False, True])
def test_the_block_has_the_towers_activation(quick_gelu) -> None:
    tower = model(quick_gelu=quick_gelu).visual
    block = MaskedImageHead(tower, vocabulary=5).lm_transformer.resblocks[0]
    assert type(block.mlp.gelu) is type(tower.transformer.resblocks[0].mlp.gelu)


def test_other_towers_are_refused_by_name() -> None:
    timm_tower = {"timm_model_name": "test_resnet", "timm_pool": "avg", "timm_proj": "", "image_size": 32}
    with pytest.raises(SettingsError, match="not ResNet"):
        MaskedImageHead(build_model({"embed_dim": 8, "vision_cfg": timm_tower, "text_cfg": TEXT}).visual, 5)
    with pytest.raises(SettingsError, match="ModifiedResNet"):
        MaskedImageHead(model(layers=[1, 1, 1, 1], width=64).visual, 5)
    with pytest.raises(SettingsError, match="patch_dropout"):
        MaskedImageHead(model(patch_dropout=0.5).visual, 5)
