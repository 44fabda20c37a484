"""Tensors by name from a file of any kind that weights come in; the content decides which kind it is, not the name."""

from __future__ import annotations

import pickle
import re
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from rapport_training.demographic.checkpoints.errors import CheckpointError
from rapport_training.demographic.checkpoints.torchscript import read_torchscript

#: What a folder's weights may be called, in the order of preference: transformers' names and open_clip's.
WEIGHT_NAMES = (
    "model.safetensors",
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.bin",
    "pytorch_model.bin",
)
#: Numbers that OpenAI's archives keep among the weights.
OPENAI_CONSTANTS = frozenset({"input_resolution", "context_length", "vocab_size"})

_DAMAGE = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    SafetensorError,
    struct.error,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    StopIteration,
    SyntaxError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True)
class Contents:
    """What a file holds.

    Attributes:
        tensors: by the names that the file gives them.
        torchscript: the file is a TorchScript archive.
        lightning: the file is a checkpoint of Lightning's trainer.
    """

    tensors: Mapping[str, Tensor]
    torchscript: bool = False
    lightning: bool = False


def weight_file(path: Path) -> Path:
    """The file itself, or the file of weights in a folder.

    Raises:
        CheckpointError: if there is none.
    """
    if path.is_dir():
        found = [path / name for name in WEIGHT_NAMES if (path / name).is_file()]
        if not found:
            raise CheckpointError(f"the folder {path} holds none of {', '.join(WEIGHT_NAMES)}")
        return found[0]
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint {path}")
    return path


def read_contents(file: Path) -> Contents:
    """Reads all tensors into the CPU's memory, or maps them from the file where its format allows that.

    Raises:
        CheckpointError: if the file cannot be read, is damaged, holds no weights, or holds more than tensors.
    """
    try:
        reader = _reader(file)
        return reader(file)
    except OSError as error:
        raise CheckpointError(f"cannot read {file}: {error.strerror or error}") from error
    except _DAMAGE as error:
        raise CheckpointError(_explain(file, error)) from error


def _reader(file: Path) -> Any:
    with file.open("rb") as stream:
        head = stream.read(512)
    if head.startswith(b"PK\x03\x04"):
        return _zip_reader(file)
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 100_000_000:
        return _read_safetensors
    if head.startswith(b"\x80") and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return _read_pickle
    raise CheckpointError(f"{file} is no checkpoint: {_what_it_is(head)}")


def _zip_reader(file: Path) -> Any:
    with zipfile.ZipFile(file) as archive:
        names = {name.partition("/")[2] for name in archive.namelist()}
    if "data.pkl" not in names:
        raise CheckpointError(f"{file} is no checkpoint: a zip archive without weights of PyTorch")
    return _read_torchscript if "constants.pkl" in names else _read_mapped_pickle


def _read_safetensors(file: Path) -> Contents:
    return Contents(load_file(file))


def _read_torchscript(file: Path) -> Contents:
    return Contents(_unwrapped(read_torchscript(file), file), torchscript=True)


def _read_mapped_pickle(file: Path) -> Contents:
    return _contents(torch.load(file, map_location="cpu", weights_only=True, mmap=True), file)


def _read_pickle(file: Path) -> Contents:
    """PyTorch's format before 1.6, which cannot be mapped."""
    return _contents(torch.load(file, map_location="cpu", weights_only=True), file)


def _contents(loaded: Any, file: Path) -> Contents:
    if not isinstance(loaded, Mapping):
        raise CheckpointError(f"{file} holds a {type(loaded).__name__}, not tensors by name")
    tensors = loaded.get("state_dict", loaded)
    if not isinstance(tensors, Mapping):
        raise CheckpointError(f"{file}: 'state_dict' is a {type(tensors).__name__}, not tensors by name")
    return Contents(_unwrapped(tensors, file), lightning="pytorch-lightning_version" in loaded)


def _unwrapped(found: Mapping[str, Any], file: Path) -> dict[str, Tensor]:
    """The tensors, without the prefix that DataParallel gives their names and without OpenAI's constants' types."""
    odd = [name for name, value in found.items() if not _is_weight(name, value)]
    if odd or not found:
        what = f"{odd[0]!r} is a {type(found[odd[0]]).__name__}, not a dense tensor" if odd else "it is empty"
        raise CheckpointError(f"{file} holds no weights by name: {what}")
    wrapped = all(name.startswith("module.") for name in found)
    return {
        name.removeprefix("module.") if wrapped else name: torch.as_tensor(value).detach()
        for name, value in found.items()
    }


def _is_weight(name: Any, value: Any) -> bool:
    if isinstance(value, Tensor):
        dense = value.layout == torch.strided and not value.is_quantized and value.device.type == "cpu"
        return isinstance(name, str) and dense
    return name in OPENAI_CONSTANTS and isinstance(value, int)


def _what_it_is(head: bytes) -> str:
    if not head:
        return "the file is empty"
    if head.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS; fetch the file itself with 'git lfs pull'"
    if head.lstrip()[:1] == b"<":
        return "a web page, as a download leaves it that was refused"
    if all(byte >= 32 or byte in b"\t\n\r" for byte in head):
        return "a text file"
    return "neither a zip archive, a pickle nor safetensors"


def _explain(file: Path, error: BaseException) -> str:
    named = re.search(r"GLOBAL (\S+)", str(error))
    if named:
        return (
            f"{file} holds more than tensors: opening it would call {named.group(1)}. Such a file can run any program; "
            "ask its author for a file of safetensors"
        )
    reason = str(error).strip().splitlines() or [type(error).__name__]
    if "weights_only" in reason[0]:
        return f"{file} is damaged or no checkpoint: its pickle cannot be read as tensors"
    return f"{file} is damaged, perhaps cut short: {reason[0]}"
