"""The tokens of a data set's pictures: computed once, kept beside it.

Tokens of faces belong to the crop that the robot makes, without augmentation, so they are the same in every epoch and
for every run with this data set, crop and tokenizer.
"""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Subset
from tqdm import tqdm

from rapport_edge.alignment import CropTemplate
from rapport_edge.atomic import sync_folder, write_atomically
from rapport_training.data.memory_map import cache_folder
from rapport_training.data.user_faces import UserFaces
from rapport_training.demographic.dataset import FaceCrops, crop_loader
from rapport_training.masked_image.tokenizers import ImageTokenizer, ImageTokenizerError

Tokens = NDArray[np.uint16] | NDArray[np.int32]

#: Pictures from a row on, (n, 3, s, s) uint8 a time: after every part is noted how far the work is.
PartsFrom = Callable[[int], Iterable[Tensor]]

#: Faces between two such notes: what an interruption costs at most.
_CHUNK = 256


def tokens_of(faces: UserFaces, template: CropTemplate, tokenizer: ImageTokenizer, grid: int, cache: Path) -> Tokens:
    """The tokens of every face, from the cache if they are there.

    A computation that was interrupted continues where it stopped. Of several processes one computes and the others
    wait. Where `cache` cannot be written to, the user's cache folder takes its place.

    Args:
        faces: a split of a data set.
        template: the crop that the image tower sees.
        tokenizer: see `ImageTokenizer`.
        grid: patches along a side.
        cache: folder.

    Returns:
        (n, grid * grid), memory-mapped; uint16, or int32 for more than 65,536 tokens.

    Raises:
        ImageTokenizerError: if the cache cannot be written.
        DataSetError: if a picture is damaged.
    """
    key = {"faces": faces.digest, "template": dataclasses.asdict(template)}
    crops = FaceCrops(faces, np.arange(len(faces)), template, seed=None)

    def parts_from(row: int) -> Iterable[Tensor]:
        return (batch.crops for batch in crop_loader(Subset(crops, range(row, len(crops))), _CHUNK))

    return cached_tokens(parts_from, (len(faces), grid), tokenizer, key, cache / faces.split)


def cached_tokens(
    parts_from: PartsFrom, shape: tuple[int, int], tokenizer: ImageTokenizer, key: Mapping[str, Any], cache: Path
) -> Tokens:
    """The tokens of any pictures, from the cache if they are there; see `tokens_of`.

    Args:
        parts_from: the pictures.
        shape: how many pictures, and patches along a side.
        tokenizer: see `ImageTokenizer`.
        key: what the pictures are, in terms of JSON.
        cache: folder, and the beginning of the file's name.

    Returns:
        (n, grid * grid), memory-mapped; uint16, or int32 for more than 65,536 tokens.

    Raises:
        ImageTokenizerError: if the cache cannot be written.
    """
    count, grid = shape
    folder = cache.parent if _is_writable(cache.parent) else cache_folder() / "tokens"
    name = json.dumps({"format": 1, **key, "tokenizer": tokenizer.digest, "grid": grid})
    path = folder / f"{cache.name}-{hashlib.sha256(name.encode()).hexdigest()[:20]}.npy"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(path.with_suffix(".lock")):
            if _load(path, (count, grid * grid)) is None:
                _compute(parts_from, (count, grid), tokenizer, path)
    except OSError as error:
        raise ImageTokenizerError(f"cannot keep image tokens in {folder}: {error.strerror or error}") from error
    tokens = _load(path, (count, grid * grid))
    assert tokens is not None
    return tokens


def _compute(parts_from: PartsFrom, shape: tuple[int, int], tokenizer: ImageTokenizer, path: Path) -> None:
    count, grid = shape
    part, progress = path.with_suffix(".part.npy"), path.with_suffix(".progress")
    tokens, done = _load(part, (count, grid * grid), mode="r+"), _read_progress(progress)
    if tokens is None:
        progress.unlink(missing_ok=True)
        tokens, done = _new(part, count, grid, tokenizer.vocabulary), 0
    with tqdm(total=count, initial=done, desc="image tokens", unit="picture", disable=None) as bar:
        for pictures in parts_from(done):
            codes = tokenizer.encode(pictures, grid).numpy()
            tokens[done : done + len(codes)] = codes
            tokens.flush()
            done += len(codes)
            write_atomically(progress, str(done).encode())
            bar.update(len(codes))
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)
    progress.unlink(missing_ok=True)
    sync_folder(path.parent)


def _new(path: Path, pictures: int, grid: int, vocabulary: int) -> NDArray[Any]:
    dtype = np.uint16 if vocabulary <= 1 << 16 else np.int32
    tokens = np.lib.format.open_memmap(path, "w+", dtype, (pictures, grid * grid))
    with path.open("r+b") as file:  # a full disk is an error here, and a crash once the map is written to
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return tokens


def _load(path: Path, shape: tuple[int, int], mode: Any = "r") -> NDArray[Any] | None:
    """The array, or None if there is none or it is not whole."""
    try:
        array = np.load(path, mmap_mode=mode)
    except (FileNotFoundError, ValueError, EOFError):
        return None
    return array if array.shape == shape else None


def _read_progress(path: Path) -> int:
    try:
        return int(path.read_text())
    except (FileNotFoundError, ValueError):
        return 0


def _is_writable(folder: Path) -> bool:
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    return os.access(existing, os.W_OK)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds a lock that ends with the process that has it."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
