"""How a crop's pixels become numbers, in training and in the exported graph alike."""

from __future__ import annotations

import msgspec
import torch
from torch import Tensor

Triple = tuple[float, float, float]


class Pixels(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Mean and standard deviation of red, green and blue on the scale 0 to 255.

    The default gives roughly zero mean and unit deviation, which is what a model that starts from random weights wants.
    """

    mean: Triple = (127.5, 127.5, 127.5)
    std: Triple = (64.0, 64.0, 64.0)


#: CLIP's and FaRL's (Radford et al. 2021): OPENAI_DATASET_MEAN and _STD of open_clip, times 255.
CLIP_PIXELS = Pixels(
    mean=(0.48145466 * 255, 0.4578275 * 255, 0.40821073 * 255),
    std=(0.26862954 * 255, 0.26130258 * 255, 0.27577711 * 255),
)


def normalise(crops: Tensor, pixels: Pixels) -> Tensor:
    """(n, 3, s, s) uint8 -> (pixel - mean) / std per channel, float32."""
    if len(set(pixels.mean)) == len(set(pixels.std)) == 1:  # scalars leave a smaller graph than three equal numbers
        return (crops.float() - pixels.mean[0]) / pixels.std[0]
    mean = torch.tensor(pixels.mean, device=crops.device).view(1, 3, 1, 1)
    std = torch.tensor(pixels.std, device=crops.device).view(1, 3, 1, 1)
    return (crops.float() - mean) / std
