"""A recipe: everything that decides what a training run computes, read from one YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from rapport_edge.alignment import CropTemplate
from rapport_training.demographic.captions import VIEWS
from rapport_training.demographic.pixels import Pixels
from rapport_training.yaml_files import read_yaml

Positive = Annotated[float, msgspec.Meta(gt=0)]
NonNegative = Annotated[float, msgspec.Meta(ge=0)]
Share = Annotated[float, msgspec.Meta(gt=0, lt=1)]
Count = Annotated[int, msgspec.Meta(ge=1)]
CountOrNone = Annotated[int, msgspec.Meta(ge=0)]


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A misspelt setting is refused, not ignored."""


class Crop(_Part, frozen=True, kw_only=True):
    """Where faces lie in the crop, as a share of ArcFace's template; see `CropTemplate`."""

    scale: Positive = 0.8
    shift_y: float = 0.0

    def template(self, size: int) -> CropTemplate:
        """The same framing at `size` pixels."""
        return CropTemplate(size=size, scale=self.scale, shift_y=self.shift_y)


class Stage(_Part, frozen=True, kw_only=True):
    """From which epoch on crops of which size are used: small crops first make early epochs cheap."""

    from_epoch: Annotated[int, msgspec.Meta(ge=0)]
    size: Annotated[int, msgspec.Meta(ge=32, le=384)]


class Unknown(_Part, frozen=True, kw_only=True):
    """When the exported heads answer "unknown"; see `rapport_edge.bundle.manifest`."""

    gender_below: Share = 0.7
    age_above_std: Positive = 14.0


class MaskedImage(_Part, frozen=True, kw_only=True):
    """Masked image modelling, equations (4) and (5).

    Attributes:
        weight: of equation (4) in equation (5); 1 is the paper's.
        kind: "block" as in BEiT and FaRL, or "random" patches.
        masked_share: of the patches; BEiT's and FaRL's 75 of 196 by default.
        reduction: "mean" over masked patches, as BEiT and FaRL compute it, or "sum", equation (4) to the letter.
        layers: of the small transformer E_MIM; FaRL's checkpoints have one.
    """

    weight: Positive = 1.0
    kind: Literal["block", "random"] = "block"
    masked_share: Share = 75 / 196
    reduction: Literal["mean", "sum"] = "mean"
    layers: Count = 1


class Recipe(_Part, frozen=True, kw_only=True):
    """Settings of `rapport-train demographic fit`.

    Attributes:
        model: an open_clip model's name, or a configuration in its format (embed_dim, vision_cfg, text_cfg).
        weights: the published weights that training starts from, for people; `fit` then asks for their file. Empty:
            random weights.
        pixels: mean and standard deviation that the image tower expects.
        views: weight of the contrastive loss of each caption view (`captions.VIEWS`); "caption" is the data set's own.
        equal_captions: faces with the same caption are "positives" of one another, or, as in the paper's equations to
            the letter, "negatives".
        age_error: weight of the expected age's error (`loss.expected_age_error`), in decades; needs the view "age".
        stages: sizes of the crops; the last one is the robot's.
        augmentation: "robot" varies what varies on a robot (`augment`), "flyp" is FLYP's RandomResizedCrop(0.9 to 1).
        validate_every: epochs between two evaluations on the validation split.
        patience: stop after so many evaluations without a lower validation loss, and keep the weights of the best one.
            0: train to the end and keep the last.
        batch_size: of all processes together; every face's negatives are this whole batch.
        micro_batch: faces encoded at a time, to save memory: same loss, same gradients, the forward pass twice. 0: all.
        gradient_checkpointing: keep no activations inside of a tower, to save memory.
        learning_rate: AdamW's, after a linear warm-up and with a cosine decay to zero.
        ema_decay: the weights that are validated and exported are their exponential moving average, updated every
            fourth step; 0 for none.
        precision: Lightning's name of it; the contrastive loss itself is always in 32 bits.
    """

    name: str
    seed: int = 0
    model: str | dict[str, Any]
    weights: str = ""
    pixels: Pixels = Pixels()
    views: dict[str, NonNegative] = msgspec.field(default_factory=lambda: {"caption": 1.0})
    equal_captions: Literal["positives", "negatives"] = "positives"
    age_error: NonNegative = 0.0
    masked_image: MaskedImage | None = None
    crop: Crop = Crop()
    stages: list[Stage]
    augmentation: Literal["robot", "flyp", "none"] = "robot"
    epochs: Count = 10
    validate_every: Count = 1
    patience: CountOrNone = 0
    batch_size: Annotated[int, msgspec.Meta(ge=2)] = 128
    micro_batch: CountOrNone = 0
    gradient_checkpointing: bool = False
    learning_rate: Positive = 2e-3
    warmup_steps: CountOrNone = 500
    weight_decay: NonNegative = 0.05
    gradient_clip: NonNegative = 1.0
    ema_decay: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.992
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    workers: CountOrNone = 0
    unknown: Unknown = Unknown()

    def template(self, epoch: int) -> CropTemplate:
        """The crop of an epoch."""
        size = max((stage for stage in self.stages if stage.from_epoch <= epoch), key=lambda s: s.from_epoch).size
        return self.crop.template(size)

    @property
    def final_template(self) -> CropTemplate:
        """The crop that the exported model takes."""
        return self.template(self.epochs - 1)

    @property
    def used_views(self) -> dict[str, float]:
        """The views that take part."""
        return {view: weight for view, weight in self.views.items() if weight > 0}


def load_recipe(path: Path) -> Recipe:
    """Reads and checks a recipe.

    Raises:
        SettingsError: naming the file and what is wrong.
    """
    return read_yaml(path, Recipe, "recipe", _contradiction)


def encode_recipe(recipe: Recipe) -> bytes:
    """YAML that `load_recipe` reads back."""
    return msgspec.yaml.encode(recipe)


def _contradiction(recipe: Recipe) -> str:
    """What no single field's range can say; "" if all is well."""
    strange = sorted(set(recipe.views) - set(VIEWS))
    if strange:
        return f"no view {', '.join(strange)}; there are {', '.join(VIEWS)}"
    problems = {
        "one of `views` needs a weight above 0": not recipe.used_views,
        "age_error needs the view 'age' with a weight above 0": recipe.age_error > 0 and not recipe.views.get("age"),
        "one of `stages` must start at epoch 0": all(stage.from_epoch > 0 for stage in recipe.stages),
        "masked_image needs crops of one size: the grid of patches may not change": recipe.masked_image
        and len({stage.size for stage in recipe.stages}) > 1,
        "patience needs an evaluation: validate_every may not be more than epochs": recipe.patience
        and recipe.validate_every > recipe.epochs,
    }
    return next((problem for problem, found in problems.items() if found), "")
