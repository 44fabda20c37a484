"""A recipe: everything that decides what a training run computes, read from one YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec

from rapport_edge.alignment import CropTemplate
from rapport_edge.errors import SettingsError

Positive = Annotated[float, msgspec.Meta(gt=0)]
NonNegative = Annotated[float, msgspec.Meta(ge=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]


class Crop(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where faces lie in the crop, as a share of ArcFace's template; see `CropTemplate`."""

    scale: Positive = 0.8
    shift_y: float = 0.0

    def template(self, size: int) -> CropTemplate:
        """The same framing at `size` pixels."""
        return CropTemplate(size=size, scale=self.scale, shift_y=self.shift_y)


class Stage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From which epoch on crops of which size are used: small crops first make early epochs cheap."""

    from_epoch: Annotated[int, msgspec.Meta(ge=0)]
    size: Annotated[int, msgspec.Meta(ge=32, le=384)]


class Unknown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When the exported heads answer "unknown"; see `rapport_edge.bundle.manifest`."""

    gender_below: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.7
    age_above_std: Positive = 14.0


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of `rapport-train demographic fit`.

    Attributes:
        model: an open_clip model configuration (embed_dim, vision_cfg, text_cfg).
        views: weight of the contrastive loss of each caption view; "fairuser" is the paper's caption.
        age_error: weight of the expected age's error (`loss.expected_age_error`), in decades; needs the view "age".
        stages: sizes of the crops; the last one is the robot's.
        held_out: share of the training faces kept for choosing and calibrating, picked by content hash.
        validate_every: epochs between two looks at the held-out faces.
        learning_rate: AdamW's, after a linear warm-up and with a cosine decay to zero.
        ema_decay: the weights that are validated and exported are their exponential moving average, updated every
            fourth step.
    """

    name: str
    seed: int = 0
    model: dict[str, Any]
    age_error: NonNegative = 0.0
    views: dict[str, NonNegative] = msgspec.field(default_factory=lambda: {"fairuser": 1.0})
    crop: Crop = Crop()
    stages: list[Stage]
    epochs: Count
    batch_size: Annotated[int, msgspec.Meta(ge=2)] = 128
    learning_rate: Positive = 2e-3
    warmup_steps: Annotated[int, msgspec.Meta(ge=0)] = 500
    weight_decay: NonNegative = 0.05
    ema_decay: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.992
    gradient_clip: Positive = 1.0
    held_out: Annotated[float, msgspec.Meta(gt=0, lt=0.5)] = 0.05
    validate_every: Count = 1
    workers: Annotated[int, msgspec.Meta(ge=0)] = 0
    precision: str = "32-true"
    unknown: Unknown = Unknown()

    def template(self, epoch: int) -> CropTemplate:
        """The crop of an epoch."""
        size = max((stage for stage in self.stages if stage.from_epoch <= epoch), key=lambda s: s.from_epoch).size
        return self.crop.template(size)

    @property
    def final_template(self) -> CropTemplate:
        """The crop that the exported model takes."""
        return self.template(self.epochs)


def load_recipe(path: Path) -> Recipe:
    """Reads and checks a recipe.

    Raises:
        SettingsError: naming the file and the field that is wrong.
    """
    try:
        recipe = msgspec.yaml.decode(path.read_bytes(), type=Recipe)
    except OSError as error:
        raise SettingsError(f"cannot read the recipe {path}: {error.strerror}") from error
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise SettingsError(f"recipe {path}: {error}") from error
    if recipe.age_error > 0 and not recipe.views.get("age"):
        raise SettingsError(f"recipe {path}: age_error needs the view 'age' with a weight above 0")
    if not any(stage.from_epoch == 0 for stage in recipe.stages):
        raise SettingsError(f"recipe {path}: one of `stages` must start at epoch 0")
    return recipe
