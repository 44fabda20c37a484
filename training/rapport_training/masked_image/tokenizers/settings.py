"""Everything that decides what a training of a tokenizer computes."""

from __future__ import annotations

from typing import Annotated

import msgspec

from rapport_edge.alignment import CropTemplate
from rapport_training.masked_image.tokenizers.autoencoder import AutoencoderConfig

Count = Annotated[int, msgspec.Meta(ge=1)]


class TokenizerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of `rapport-train tokenizer fit`.

    Attributes:
        network: see `AutoencoderConfig`.
        size: side of the crops in pixels, a multiple of the factor; best the side at which the tokens will be made.
        scale, shift_y: where the face lies in the crop, see `CropTemplate`; best those of the recipe.
        faces: train on the first so many of the data set; None for all.
        learning_rate: Adam's at the start; it falls to zero as a cosine.
    """

    network: AutoencoderConfig = AutoencoderConfig()
    size: Annotated[int, msgspec.Meta(ge=16, le=512)] = 64
    scale: Annotated[float, msgspec.Meta(gt=0)] = 0.8
    shift_y: float = 0.0
    faces: Count | None = None
    epochs: Count = 20
    batch_size: Count = 64
    learning_rate: Annotated[float, msgspec.Meta(gt=0)] = 2e-3
    seed: Annotated[int, msgspec.Meta(ge=0)] = 0
    workers: Annotated[int, msgspec.Meta(ge=0)] = 0

    @property
    def template(self) -> CropTemplate:
        """The crop."""
        return CropTemplate(size=self.size, scale=self.scale, shift_y=self.shift_y)
