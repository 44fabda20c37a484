"""E_MIM and its classifier: what predicts the tokens of hidden patches from the image tower's features.

The forward pass is FaRL's (Zheng et al. 2022): a learned token replaces the embeddings of hidden patches before the
position embeddings are added, the tower runs as it is, and its last layer goes, without the final norm, through one
more transformer block, a norm and a linear classifier over the tokenizer's vocabulary.
"""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import torch
from open_clip.transformer import Transformer, VisionTransformer
from torch import Tensor, nn

from rapport_edge.errors import SettingsError

#: BEiT's standard deviation of new weights.
_INITIAL_STD = 0.02


class MaskedImageHead(nn.Module):
    """The parameters that masked image modelling adds to an image tower, named as in FaRL's checkpoint.

    `load_state_dict` takes FaRL's 17 tensors without their prefix "visual.". `timm_head` has the head for towers of
    timm's.

    Attributes:
        grid: patches along a side.
    """

    def __init__(self, visual: nn.Module, vocabulary: int, layers: int = 1) -> None:
        """Builds a head with random weights for a tower, of its width, heads, activation and norm.

        Args:
            visual: open_clip's vision transformer; it is read, not kept.
            vocabulary: tokens to choose from.
            layers: transformer blocks of E_MIM.

        Raises:
            SettingsError: if the tower is of another kind, or drops patches.
        """
        super().__init__()
        tower = checked_tower(visual)
        self.grid = int(tower.grid_size[0])
        block = tower.transformer.resblocks[-1]
        width = tower.transformer.width
        self.mask_token = nn.Parameter(torch.empty(width).normal_(std=_INITIAL_STD))
        norm = partial(type(tower.ln_post), eps=tower.ln_post.eps)
        self.lm_transformer = Transformer(
            width=width,
            layers=layers,
            heads=block.attn.num_heads,
            mlp_ratio=block.mlp.c_fc.out_features / width,
            act_layer=lambda: copy.deepcopy(block.mlp.gelu),  # a class would lose its settings
            norm_layer=norm,
        )
        self.ln_lm = norm(width)
        self.lm_head = nn.Linear(width, vocabulary)
        nn.init.normal_(self.lm_head.weight, std=_INITIAL_STD)
        nn.init.zeros_(self.lm_head.bias)

    def forward(self, visual: VisionTransformer, pixels: Tensor, mask: Tensor) -> Tensor:
        """Scores of the tokens at the masked places.

        Args:
            visual: the tower that the contrastive loss trains, too.
            pixels: (n, 3, s, s), normalised.
            mask: (n, g * g) bool, True where a patch is hidden. On the CPU it spares a GPU the wait for its sum.

        Returns:
            (K, vocabulary) logits of the K places that are True in `mask`, row by row.
        """
        hidden = visual.transformer(embed_patches(visual, pixels, mask, self.mask_token))
        self.lm_transformer.grad_checkpointing = visual.transformer.grad_checkpointing
        hidden = self.lm_transformer(hidden)
        # Only hidden patches are classified: with 8192 tokens the classifier is as dear as another block.
        patches = hidden[:, 1:].flatten(0, 1)
        chosen = patches.index_select(0, masked_places(mask).to(patches.device, non_blocking=True))
        return self.lm_head(self.ln_lm(chosen))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        token = state_dict.get(f"{prefix}mask_token")
        if token is not None and token.numel() == self.mask_token.numel():  # (1, 1, width) in BEiT's manner
            state_dict[f"{prefix}mask_token"] = token.reshape(self.mask_token.shape)
        super()._load_from_state_dict(state_dict, prefix, *args)


def embed_patches(visual: VisionTransformer, pixels: Tensor, mask: Tensor, token: Tensor) -> Tensor:
    """(n, 1 + g * g, width): what enters the tower's blocks, with `token` in the place of hidden patches.

    The same steps as the tower's own `_embeds`, which has no place for the token.
    """
    patches = visual.conv1(pixels).flatten(2).transpose(1, 2)
    hidden = mask.to(patches.device, non_blocking=True).unsqueeze(-1)
    patches = torch.where(hidden, token.to(patches.dtype), patches)
    whole = visual.class_embedding.to(patches.dtype).expand(len(patches), 1, -1)
    return visual.ln_pre(torch.cat([whole, patches], dim=1) + visual.positional_embedding.to(patches.dtype))


def masked_places(mask: Tensor) -> Tensor:
    """(K,) int64: the numbers of the True places of a flattened mask."""
    return mask.flatten().nonzero().squeeze(1)


def checked_tower(visual: nn.Module) -> VisionTransformer:
    """The tower, if its patches can be hidden.

    Raises:
        SettingsError: naming its kind and what to use instead.
    """
    if not isinstance(visual, VisionTransformer):
        inner = getattr(visual, "trunk", visual)  # open_clip wraps timm's models
        raise SettingsError(
            f"masked image modelling needs open_clip's VisionTransformer, not {type(inner).__name__}; "
            "choose a model such as ViT-B-16-quickgelu, or leave masked_image out of the recipe"
        )
    if not isinstance(visual.patch_dropout, nn.Identity):
        raise SettingsError("masked image modelling needs every patch: set patch_dropout of vision_cfg to 0")
    return visual
