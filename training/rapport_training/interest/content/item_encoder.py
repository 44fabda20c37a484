"""An item's vector from its picture and its title."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from rapport_training.interest.content.network import ContentNetwork
from rapport_training.interest.content.pictures import BROKEN, decode_all
from rapport_training.interest.content.recipe import ContentRecipe
from rapport_training.interest.content.run import Vector, load_network


class ItemEncoder:
    """Gives items vectors of length 1, and of length 0 where there is neither picture nor title.

    | run | vector | dimension |
    |---|---|---|
    | nothing trained, or DDA | F_V(picture) and F_L(title), each of length 1, side by side | both towers' widths |
    | with DMA | h^img and h^txt, each of length 1, side by side | 2 d |
    | C-SFT | h^MM | d |

    Side by side, a part that an item lacks is zero. Under C-SFT it enters (3) as zero: the appended 1 lets the other
    part through. The same items in another order or in batches of another size give the same vectors up to float32's
    rounding.

    Attributes:
        digest: SHA-256 of weights, configuration and vocabulary: equal digests, equal vectors.
        dimension: length of a vector.
        vector: which row of the table above.
        broken: pictures that could not be decoded in all calls of `embed` so far; such an item counts as one without.
        without_image, without_title: items so far, broken pictures among the former.
    """

    def __init__(self, network: ContentNetwork, recipe: ContentRecipe, vector: Vector) -> None:
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.network = network.to(self.device).eval().requires_grad_(False)
        self.recipe, self.vector = recipe, vector
        both = network.vision.dimension + network.language.dimension
        self.dimension = {"features": both, "aligned": 2 * network.width, "fused": network.width}[vector]
        self.digest = _digest(network, recipe, vector)
        self.broken = self.without_image = self.without_title = 0

    def embed(
        self, titles: Sequence[str], images: Sequence[bytes | None], *, batch_size: int = 256
    ) -> NDArray[np.float32]:
        """Vectors of n items.

        Args:
            titles: "" for none.
            images: encoded pictures, None for none.
            batch_size: items at a time.

        Returns:
            (n, dimension) float32, in the order of the items.
        """
        vectors = np.zeros((len(titles), self.dimension), np.float32)
        for start in range(0, len(titles), batch_size):
            part = slice(start, start + batch_size)
            vectors[part] = self._embed(titles[part], images[part])
        return vectors

    @torch.inference_mode()
    def _embed(self, titles: Sequence[str], images: Sequence[bytes | None]) -> NDArray[np.float32]:
        pictures = decode_all(images, len(images), self.recipe.vision.image_size)
        seen = torch.from_numpy(np.flatnonzero(pictures.whole))
        read = torch.from_numpy(np.flatnonzero([bool(title.strip()) for title in titles]))
        self.broken += int((pictures.state == BROKEN).sum())
        self.without_image += len(titles) - len(seen)
        self.without_title += len(titles) - len(read)
        plain = self.vector == "features"
        image_width = self.network.vision.dimension if plain else self.network.width
        text_width = self.network.language.dimension if plain else self.network.width
        image, text = torch.zeros(len(titles), image_width), torch.zeros(len(titles), text_width)
        if len(seen):
            image[seen] = self._images(pictures.rows(seen), plain=plain).float().cpu()
        if len(read):
            text[read] = self._titles([titles[row] for row in read], plain=plain).float().cpu()
        found = self._together(image, text)
        known = (image.any(dim=1) | text.any(dim=1)).unsqueeze(1)
        return torch.where(known, F.normalize(found, dim=1), 0.0).numpy()

    def _images(self, pixels: Tensor, *, plain: bool) -> Tensor:
        pixels = pixels.to(self.device)
        return self.network.vision(pixels) if plain else self.network.encode_images(pixels)

    def _titles(self, titles: Sequence[str], *, plain: bool) -> Tensor:
        tokens = self.network.language.tokenise(titles)
        tokens = type(tokens)(*(part.to(self.device) for part in tokens))
        return self.network.language(tokens) if plain else self.network.encode_titles(tokens)

    def _together(self, image: Tensor, text: Tensor) -> Tensor:
        if self.vector == "fused":
            return self.network.fuse(image.to(self.device), text.to(self.device)).float().cpu()
        return torch.cat([F.normalize(image, dim=1), F.normalize(text, dim=1)], dim=1)


def load_item_encoder(run: Path) -> ItemEncoder:
    """The encoder of a run of `rapport-train interest pretrain` or `csft`, on a GPU where there is one.

    Raises:
        SettingsError: if there is no such run, it has no checkpoint yet, or the checkpoint does not fit.
    """
    network, recipe, record = load_network(run)
    return ItemEncoder(network, recipe, record.vector)


def _digest(network: ContentNetwork, recipe: ContentRecipe, vector: Vector) -> str:
    tower = network.language
    shape = {
        "vector": vector,
        "vision": {**msgspec.to_builtins(recipe.vision), "weights": ""},  # the tensors below say it better than a path
        "pixels": msgspec.to_builtins(network.vision.pixels),
        "pooling": tower.pooling,
        "max_length": tower.max_length,
        "vocabulary": sorted(tower.tokenizer.get_vocab().items()),
        "fusion": recipe.csft.fusion,
    }
    total = hashlib.sha256(msgspec.json.encode(shape, order="deterministic"))
    for name, tensor in sorted(network.state_dict().items()):
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        total.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()
