"""The multi-modal encoder: two towers, what takes them to one width, and what fuses them."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rapport_training.interest.content.fusion import Concatenation, TensorFusion
from rapport_training.interest.content.language import LanguageTower, Titles
from rapport_training.interest.content.recipe import ContentRecipe
from rapport_training.interest.content.vision import VisionTower


class ContentNetwork(nn.Module):
    """F_V, F_L and equations (2) to (4).

    h^img and h^txt are taken to length sqrt(d): (5) compares directions alone, and in (3) their products are then of
    the size of the appended ones.

    Attributes:
        vision, language: the towers.
        width: d.
        logit_scale: log of 1 / temperature.
    """

    def __init__(self, recipe: ContentRecipe, vision: VisionTower, language: LanguageTower) -> None:
        super().__init__()
        self.vision, self.language, self.width = vision, language, recipe.width
        self.image_projection = nn.Linear(vision.dimension, recipe.width)
        self.text_projection = nn.Linear(language.dimension, recipe.width)
        fusion = TensorFusion if recipe.csft.fusion == "tensor" else Concatenation
        self.fusion = fusion(recipe.width, recipe.width, recipe.hidden)
        self.output = nn.Sequential(nn.GELU(), nn.Linear(recipe.hidden, recipe.width))
        self.logit_scale = nn.Parameter(torch.tensor(-math.log(recipe.csft.temperature)))

    def encode_images(self, pictures: Tensor) -> Tensor:
        """(n, 3, s, s) uint8 -> h^img, (n, d)."""
        return self._on_sphere(self.image_projection(self.vision(pictures)))

    def encode_titles(self, titles: Titles) -> Tensor:
        """N titles -> h^txt, (n, d)."""
        return self._on_sphere(self.text_projection(self.language(titles)))

    def fuse(self, images: Tensor, texts: Tensor) -> Tensor:
        """h^img and h^txt, rows of zeros where an item lacks one -> h^MM, (n, d)."""
        return self.output(self.fusion(images, texts))

    def _on_sphere(self, vectors: Tensor) -> Tensor:
        return F.normalize(vectors.float(), dim=-1) * math.sqrt(self.width)
