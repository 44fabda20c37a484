"""Tensors out of files that may hold more than tensors, without running anything of theirs.

OpenAI published DALL-E's encoder as a pickle of a whole module of its package `dall_e`. Unpickling it as usual runs
whatever the file says. Here torch's own restricted unpickler reads it, which builds tensors and plain containers only;
the classes of modules are replaced by an inert holder of attributes. Any other name in the file is refused.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from rapport_training.masked_image.tokenizers.base import ImageTokenizerError

#: The classes in a pickled encoder of DALL-E, of which only the attributes are wanted.
MODULE_CLASSES = (
    "dall_e.encoder.Encoder",
    "dall_e.encoder.EncoderBlock",
    "dall_e.utils.Conv2d",
    "torch.nn.modules.activation.ReLU",
    "torch.nn.modules.container.Sequential",
    "torch.nn.modules.linear.Identity",
    "torch.nn.modules.pooling.MaxPool2d",
)


class InertModule:
    """Stands for a module: the unpickler fills its attributes, and it can do nothing."""


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The named tensors of a file, and its metadata if it is a safetensors file.

    Args:
        path: safetensors; a state dict of torch.save, plain or under "state_dict"; or a pickled encoder of DALL-E.

    Raises:
        ImageTokenizerError: if it is damaged or of another kind, or names anything but tensors and DALL-E's modules.
    """
    try:
        with path.open("rb") as file:
            start = file.read(9)
        if start[8:9] == b"{":  # safetensors: eight bytes of length, then a JSON header
            return _read_safetensors(path)
        return _read_pickle(path), {}
    except OSError as error:
        raise ImageTokenizerError(f"cannot read {path}: {error.strerror or error}") from error


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except SafetensorError as error:
        raise ImageTokenizerError(f"{path} is a damaged safetensors file: {error}") from error


def _read_pickle(path: Path) -> dict[str, Tensor]:
    try:
        with torch.serialization.safe_globals([(InertModule, name) for name in MODULE_CLASSES]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ImageTokenizerError(f"{path} was not read: {_reason(str(error))}") from error
    except (RuntimeError, EOFError, KeyError, ValueError, AttributeError, TypeError) as error:
        raise ImageTokenizerError(f"{path} is damaged or not a file of torch.save: {_first_line(error)}") from error
    tensors = dict(_tensors_of(content, ""))
    if not tensors:
        raise ImageTokenizerError(f"{path} holds no tensors")
    return tensors


def _reason(refusal: str) -> str:
    """Why torch's restricted unpickler stopped, in one line."""
    if "Only persistent_load of storage is allowed" in refusal:
        return (
            "it is a whole module in the format of torch before 1.6, which cannot be read without running it; where "
            "you trust it, convert it once: torch.save(torch.load(FILE, weights_only=False).state_dict(), 'encoder.pt')"
        )
    refused = refusal.partition("GLOBAL ")[2].split()
    return f"it names {refused[0]}, which is not a tensor" if refused else "it is no file of tensors"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _tensors_of(content: Any, prefix: str) -> Iterator[tuple[str, Tensor]]:
    """(name, tensor) of a state dict or of an inert module and its parts, named as `state_dict()` would."""
    if isinstance(content, InertModule):
        for kind in ("_parameters", "_buffers", "_modules"):
            yield from _tensors_of(vars(content).get(kind) or {}, prefix)
    elif isinstance(content, dict):
        if isinstance(inner := content.get("state_dict"), dict):
            content = inner
        for name, value in content.items():
            if isinstance(value, Tensor):
                yield f"{prefix}{name}", value.detach()
            elif isinstance(value, InertModule):
                yield from _tensors_of(value, f"{prefix}{name}.")
