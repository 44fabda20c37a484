"""The encoder of DALL-E's discrete VAE (Ramesh et al. 2021), whose tokens BEiT and FaRL predict.

The architecture is that of OpenAI's package `dall_e`: a 7 x 7 convolution, four groups of residual blocks with a
maximum pool after each of the first three, and a 1 x 1 convolution to 8192 scores. The names of the parameters are its
names, too. Weights come from a file that the user has; none are shipped.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from rapport_training.masked_image.tokenizers.base import ImageTokenizerError, unit_pixels

#: Pixels that one token stands for along a side: three pools by two.
FACTOR = 8
GROUPS = 4

#: DALL-E's map_pixels moves [0, 1] into [0.1, 0.9], where its logit-Laplace distribution is defined.
_MARGIN = 0.1

_BATCH = 32


class Conv(nn.Module):
    """A convolution that keeps the picture's size; DALL-E calls its tensors w and b."""

    def __init__(self, inputs: int, outputs: int, side: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(outputs, inputs, side, side) * (inputs * side**2) ** -0.5)
        self.b = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, h, w) -> (n, outputs, h, w)."""
        return nn.functional.conv2d(x, self.w, self.b, padding="same")


class Block(nn.Module):
    """A residual block with a bottleneck of a quarter of its outputs."""

    def __init__(self, inputs: int, outputs: int, layers: int) -> None:
        super().__init__()
        narrow = outputs // 4
        self.gain = 1 / layers**2
        self.id_path = Conv(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        sizes = [(inputs, narrow, 3), (narrow, narrow, 3), (narrow, narrow, 3), (narrow, outputs, 1)]
        steps: list[tuple[str, nn.Module]] = []
        for number, size in enumerate(sizes, start=1):
            steps += [(f"relu_{number}", nn.ReLU()), (f"conv_{number}", Conv(*size))]
        self.res_path = nn.Sequential(OrderedDict(steps))

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, h, w) -> (n, outputs, h, w)."""
        return self.id_path(x) + self.gain * self.res_path(x)


class DalleEncoder(nn.Module):
    """Pixels to the scores of tokens."""

    def __init__(self, width: int = 256, blocks_per_group: int = 2, vocabulary: int = 8192) -> None:
        """The defaults are the published encoder's.

        Args:
            width: channels of the first group; each further group doubles them.
            blocks_per_group: residual blocks.
            vocabulary: scores per place.
        """
        super().__init__()
        parts: list[tuple[str, nn.Module]] = [("input", Conv(3, width, 7))]
        channels = width
        for number in range(1, GROUPS + 1):
            steps: list[tuple[str, nn.Module]] = []
            for block in range(1, blocks_per_group + 1):
                outputs = width * 2 ** (number - 1)
                steps.append((f"block_{block}", Block(channels, outputs, GROUPS * blocks_per_group)))
                channels = outputs
            if number < GROUPS:
                steps.append(("pool", nn.MaxPool2d(2)))
            parts.append((f"group_{number}", nn.Sequential(OrderedDict(steps))))
        output = OrderedDict([("relu", nn.ReLU()), ("conv", Conv(channels, vocabulary, 1))])
        self.blocks = nn.Sequential(OrderedDict([*parts, ("output", nn.Sequential(output))]))

    def forward(self, pixels: Tensor) -> Tensor:
        """(n, 3, 8 g, 8 g) from 0 to 1 -> (n, vocabulary, g, g)."""
        return self.blocks((1 - 2 * _MARGIN) * pixels + _MARGIN)


class DalleTokenizer:
    """The most probable token of each 8 x 8 pixels; float32, as published."""

    def __init__(self, tensors: Mapping[str, Tensor], digest: str, device: torch.device, origin: str) -> None:
        """Builds the encoder that the tensors belong to.

        Args:
            tensors: DALL-E's state dict, "blocks.input.w" and so on.
            digest: SHA-256 of the file.
            device: where `encode` computes.
            origin: the file's name, for messages.

        Raises:
            ImageTokenizerError: if tensors are missing, too many or of another shape.
        """
        first, last = tensors.get("blocks.input.w"), tensors.get("blocks.output.conv.w")
        if first is None or last is None or first.ndim != 4 or last.ndim != 4:
            raise ImageTokenizerError(
                f"{origin} holds neither DALL-E's encoder nor a tokenizer of `rapport-train tokenizer fit`: "
                "blocks.input.w or blocks.output.conv.w is missing"
            )
        blocks = len({name.split(".")[2] for name in tensors if name.startswith("blocks.group_1.block_")})
        with torch.device("meta"):  # the file's own tensors take the place of random ones
            encoder = DalleEncoder(len(first), blocks, len(last))
        try:
            encoder.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, assign=True)
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            raise ImageTokenizerError(f"{origin} is not DALL-E's encoder: {reason}") from error
        self.encoder = encoder.to(device).eval().requires_grad_(False)
        self.vocabulary, self.digest, self._device = len(last), digest, device

    @torch.inference_mode()
    def encode(self, crops: Tensor, grid: int) -> Tensor:
        """As `ImageTokenizer.encode`; a grid of 14 makes pictures of 112 x 112, as in BEiT and FaRL."""
        parts = [self._encode(part, grid) for part in crops.split(_BATCH)]
        return torch.cat(parts) if parts else torch.empty(0, grid * grid, dtype=torch.int64)

    def _encode(self, crops: Tensor, grid: int) -> Tensor:
        pixels = unit_pixels(crops.to(self._device), FACTOR * grid)
        with torch.autocast(self._device.type, enabled=False):
            return self.encoder(pixels).argmax(dim=1).flatten(1).cpu()
