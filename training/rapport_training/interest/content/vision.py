"""F_V: image towers from timm, by name, and compact ones that train on a CPU."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

import timm
import torch
from torch import Tensor, nn

from rapport_edge.errors import SettingsError
from rapport_training.demographic.pixels import Pixels, normalise
from rapport_training.interest.content.recipe import Vision


def _convnext(name: str, dims: tuple[int, ...], depths: tuple[int, ...]) -> tuple[str, dict[str, Any]]:
    return name, {"dims": dims, "depths": depths, "patch_size": 2, "stem_type": "patch"}


#: Compact towers of growing strength, for pictures of 32 to 64 pixels: ConvNeXt cells on patches of 2 pixels. They have
#: no batch normalisation, so that a vector does not depend on which other items are in the batch.
COMPACT: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "compact-small": _convnext("convnext_atto", (16, 32, 48, 64), (1, 1, 1, 1)),
    "compact": _convnext("convnext_atto", (24, 48, 96, 128), (1, 1, 2, 1)),
    "compact-large": _convnext("convnextv2_atto", (32, 64, 128, 192), (2, 2, 4, 2)),
}


class VisionTower(nn.Module):
    """Pictures to features.

    Attributes:
        trunk: timm's model without its classifier.
        dimension: length of its features, pooled as timm does for that model.
    """

    def __init__(self, settings: Vision, *, pretrained: bool = True) -> None:
        """Builds the tower.

        Args:
            settings: which.
            pretrained: False leaves random weights even where `settings` name others, for a checkpoint to fill.

        Raises:
            SettingsError: if timm does not know the model or its options, or the file of weights does not fit.
        """
        super().__init__()
        name, options = COMPACT.get(settings.model, (settings.model, {}))
        if not timm.is_model(name):
            raise SettingsError(f"timm has no model {name!r}; {_like(name)} and {', '.join(COMPACT)} would do")
        weights = settings.weights if pretrained else ""
        self.trunk = _create(name, {**options, **settings.options}, settings.image_size, weights)
        self.pixels = settings.pixels or _expected_pixels(self.trunk, random=not settings.weights)
        self.dimension = int(self.trunk.num_features)
        with torch.no_grad():  # a few models pool to another width than they say
            probe = torch.zeros(1, 3, settings.image_size, settings.image_size)
            was = self.trunk.training
            self.dimension = int(self.trunk.eval()(probe).shape[-1])
            self.trunk.train(was)

    def forward(self, pictures: Tensor) -> Tensor:
        """(n, 3, s, s) uint8 RGB -> (n, dimension)."""
        return self.trunk(normalise(pictures, self.pixels))


def _create(name: str, options: dict[str, Any], size: int, weights: str) -> nn.Module:
    if weights not in {"", "timm"}:
        if not Path(weights).is_file():
            raise SettingsError(f"there is no file of weights {weights}")
        options = {**options, "pretrained_cfg_overlay": {"file": weights}}
    for sized in ({"img_size": size}, {}):  # convolutional models take any size and no such option
        try:
            return timm.create_model(name, pretrained=bool(weights), num_classes=0, **options, **sized)
        except TypeError as error:
            problem: Exception = error
        except (RuntimeError, ValueError, AssertionError, OSError) as error:
            raise SettingsError(f"vision model {name}: {' '.join(str(error).split())[:300]}") from error
    raise SettingsError(f"vision model {name}: {problem}")


def _expected_pixels(trunk: nn.Module, *, random: bool) -> Pixels:
    if random:
        return Pixels()
    expected = trunk.pretrained_cfg
    return Pixels(tuple(255 * v for v in expected["mean"]), tuple(255 * v for v in expected["std"]))


def _like(name: str) -> str:
    return ", ".join(get_close_matches(name, timm.list_models(), 3)) or "resnet50, convnextv2_atto"
