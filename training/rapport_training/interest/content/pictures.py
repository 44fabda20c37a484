"""A catalogue's pictures as one array of bytes: decoded once, memory-mapped by every process and every run."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from rapport_edge.alignment import resize_whole
from rapport_edge.atomic import scratch_beside, sync_folder
from rapport_edge.errors import ImageError, SettingsError
from rapport_edge.images import decode_upright
from rapport_training.data.memory_map import cache_folder
from rapport_training.interest.data.log import BehaviourLog

#: States of an item's picture.
NONE, WHOLE, BROKEN = 0, 1, 2


@dataclass(frozen=True)
class Pictures:
    """Pictures of one size.

    Attributes:
        pixels: (n, s, s, 3) uint8 RGB; zeros where there is none.
        state: (n,) uint8: `NONE`, `WHOLE` or `BROKEN`.
    """

    pixels: NDArray[np.uint8]
    state: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.state)

    @property
    def whole(self) -> NDArray[np.bool_]:
        """(n,) bool: which can be seen."""
        return self.state == WHOLE

    def rows(self, rows: NDArray[np.int64] | Tensor) -> Tensor:
        """(n, 3, s, s) uint8 of some rows."""
        return torch.from_numpy(self.pixels[np.asarray(rows)]).permute(0, 3, 1, 2)


def decode(image: bytes | None, size: int) -> tuple[NDArray[np.uint8] | None, int]:
    """A whole picture as (size, size, 3) uint8 RGB, upright and squeezed into a square, or None; and its state."""
    if not image:
        return None, NONE
    try:
        return resize_whole(decode_upright(image), size), WHOLE
    except ImageError:
        return None, BROKEN


def decode_all(images: Iterable[bytes | None], count: int, size: int) -> Pictures:
    """Decodes into memory: for queries, and for what is embedded in batches."""
    pictures = Pictures(np.zeros((count, size, size, 3), np.uint8), np.zeros(count, np.uint8))
    _fill(pictures, images)
    return pictures


def catalogue_pictures(log: BehaviourLog, size: int) -> Pictures:
    """A log's pictures, in the order of its items; decoded once, kept beside the log or in the user's cache.

    Args:
        log: the behaviour log.
        size: side in pixels.

    Raises:
        SettingsError: if the array cannot be written.
        LogError: if the log is damaged.
    """
    for folder in (log.path / "pictures", cache_folder() / "pictures"):
        path = folder / _name(log, size)
        found = _open(path, log.item_count, size)
        if found is not None:
            return found
    folder = log.path if os.access(log.path, os.W_OK) else cache_folder()
    try:
        return _decode_into(folder / "pictures", log, size)
    except OSError as error:
        raise SettingsError(f"cannot keep decoded pictures in {folder}: {error.strerror or error}") from error


def _name(log: BehaviourLog, size: int) -> str:
    """Of the array; another way to decode takes another name, or old arrays would be taken for new ones."""
    return f"{log.digest[:20]}-{size}-upright.npy"


def _open(path: Path, count: int, size: int) -> Pictures | None:
    try:
        pixels, state = np.load(path, mmap_mode="r"), np.load(path.with_suffix(".state.npy"))
    except (OSError, ValueError, EOFError):
        return None
    return Pictures(pixels, state) if pixels.shape == (count, size, size, 3) and len(state) == count else None


def _decode_into(folder: Path, log: BehaviourLog, size: int) -> Pictures:
    """Several processes may do this at once: each renames a whole file of its own, and all are equal."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _name(log, size)
    with scratch_beside(path) as scratch:
        written = scratch / path.name
        pixels: Any = np.lib.format.open_memmap(written, "w+", np.uint8, (log.item_count, size, size, 3))
        with written.open("r+b") as file:  # a full disk is an error here, and a crash once the map is written to
            os.posix_fallocate(file.fileno(), 0, written.stat().st_size)
        pictures = Pictures(pixels, np.zeros(log.item_count, np.uint8))
        images = (image.as_py() for batch in log.item_batches(["image"]) for image in batch.column("image"))
        _fill(pictures, tqdm(images, "pictures", log.item_count, unit="item", disable=None))
        pixels.flush()
        state = written.with_suffix(".state.npy")
        np.save(state, pictures.state)
        state.replace(path.with_suffix(".state.npy"))
        written.replace(path)
    sync_folder(folder)
    found = _open(path, log.item_count, size)
    assert found is not None
    return found


def _fill(pictures: Pictures, images: Iterable[bytes | None]) -> None:
    size = pictures.pixels.shape[1]
    for row, image in enumerate(images):
        pixels, pictures.state[row] = decode(image, size)
        if pixels is not None:
            pictures.pixels[row] = pixels
