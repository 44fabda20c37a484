"""Tokenizers from and to files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import safetensors.torch
import torch
from torch import Tensor

from rapport_edge.atomic import write_atomically
from rapport_training.masked_image.tokenizers.autoencoder import AutoencoderConfig, DiscreteAutoencoder
from rapport_training.masked_image.tokenizers.base import ImageTokenizer, ImageTokenizerError, unit_pixels
from rapport_training.masked_image.tokenizers.dalle import DalleTokenizer
from rapport_training.masked_image.tokenizers.tensor_files import read_tensors

#: Key of the configuration in the metadata of a tokenizer's file.
CONFIG_KEY = "rapport_image_tokenizer"

#: Pictures at a time: the codebook compares each place with each code.
_BATCH = 32


class AutoencoderTokenizer:
    """The codes of a `DiscreteAutoencoder`."""

    def __init__(self, model: DiscreteAutoencoder, digest: str, device: torch.device) -> None:
        self.model = model.to(device).eval().requires_grad_(False)
        self.vocabulary, self.digest, self._device = model.config.vocabulary, digest, device

    @torch.inference_mode()
    def encode(self, crops: Tensor, grid: int) -> Tensor:
        """As `ImageTokenizer.encode`; the crops are scaled to factor * grid pixels."""
        size = self.model.config.factor * grid
        parts = [
            self.model.codes(unit_pixels(part.to(self._device), size)).flatten(1).cpu() for part in crops.split(_BATCH)
        ]
        return torch.cat(parts) if parts else torch.empty(0, grid * grid, dtype=torch.int64)


def load_image_tokenizer(path: Path, device: torch.device | str | None = None) -> ImageTokenizer:
    """A tokenizer of `rapport-train tokenizer fit`, or DALL-E's encoder.

    Args:
        path: safetensors, a torch file of tensors, or OpenAI's `encoder.pkl`, of which only the tensors are read.
        device: where it computes; a GPU if there is one.

    Raises:
        ImageTokenizerError: if the file is damaged, of another kind, or not made of tensors alone.
    """
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    tensors, metadata = read_tensors(path)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if CONFIG_KEY not in metadata:
        return DalleTokenizer(tensors, digest, place, str(path))
    try:
        model = DiscreteAutoencoder(msgspec.json.decode(metadata[CONFIG_KEY], type=AutoencoderConfig))
        model.load_state_dict(tensors)
    except (msgspec.DecodeError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ImageTokenizerError(f"{path} is not a tokenizer that this version knows: {reason}") from error
    return AutoencoderTokenizer(model, digest, place)


def save_autoencoder(model: DiscreteAutoencoder, path: Path) -> str:
    """Writes a tokenizer's file, whole or not at all; returns its SHA-256.

    Raises:
        ImageTokenizerError: if the folder cannot be written or is full.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    content = safetensors.torch.save(tensors, {CONFIG_KEY: msgspec.json.encode(model.config).decode()})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
    except OSError as error:
        raise ImageTokenizerError(f"cannot write {path}: {error.strerror or error}") from error
    return hashlib.sha256(content).hexdigest()
