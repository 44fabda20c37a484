"""Labelled faces, decoded and with landmarks, ready for augmentation.

Detection costs more than a training step, so `prepare` runs it once, with the robot's decoder and detector, and keeps
pictures and landmarks as memory-mapped arrays.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from tqdm import tqdm

from rapport_edge.atomic import write_atomically
from rapport_edge.detection import DetectorSettings, FaceDetector, create_detector
from rapport_edge.errors import ImageError, SettingsError
from rapport_edge.evaluation import LabelledFaces
from rapport_edge.evaluation.cropping import labelled_detection
from rapport_edge.faces import ByteImage, FloatArray
from rapport_edge.images import decode_compressed

_BATCH = 256
_DETECTOR = DetectorSettings(working_size=(160, 160))
_worker_detector: FaceDetector | None = None  # one per process of the pool


@dataclass(frozen=True)
class Faces:
    """All faces of a run.

    Attributes:
        images: (n, side, side, 3) uint8 RGB, memory-mapped.
        landmarks: (n, 5, 2) float32; NaN where no face was found.
        age, gender, race: (n,) labels as strings.
        content: (n,) SHA-256 of the encoded image, hexadecimal.
    """

    images: NDArray[np.uint8]
    landmarks: FloatArray
    age: NDArray[np.str_]
    gender: NDArray[np.str_]
    race: NDArray[np.str_]
    content: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.images)


def prepare(sources: list[Path], folder: Path, side: int, processes: int) -> Faces:
    """Decodes the Parquet files, finds landmarks and writes the arrays into `folder`, unless they are there already.

    Args:
        sources: Parquet files of labelled faces.
        folder: where the arrays are kept.
        side: pictures of another size are scaled to side x side.
        processes: that decode and detect at the same time.

    Raises:
        RapportError: if a file cannot be read or lacks a column.
    """
    labelled = [_labelled(path) for path in sources]
    key = _cache_key(sources, side)
    if (folder / "key.json").is_file() and json.loads((folder / "key.json").read_text()) == key:
        return load(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "key.json").unlink(missing_ok=True)
    total = sum(map(len, labelled))
    images = np.lib.format.open_memmap(folder / "images.npy", "w+", np.uint8, (total, side, side, 3))
    landmarks = np.lib.format.open_memmap(folder / "landmarks.npy", "w+", np.float32, (total, 5, 2))
    row = 0
    spawn = get_context("spawn")  # a fork would copy the locks of the runtime's threads, but not the threads
    with (
        ProcessPoolExecutor(processes, spawn, initializer=_start_worker) as pool,
        tqdm(total=total, unit="face") as bar,
    ):
        jobs = ((batch, side) for batch in _encoded_batches(labelled))
        for pictures, points in pool.map(_decode_and_detect, jobs):
            images[row : row + len(pictures)], landmarks[row : row + len(pictures)] = pictures, points
            row += len(pictures)
            bar.update(len(pictures))
    images.flush()
    landmarks.flush()
    _write_labels(labelled, folder / "labels.parquet")
    write_atomically(folder / "key.json", json.dumps(key).encode())  # last: a folder with a key is whole
    return load(folder)


def load(folder: Path) -> Faces:
    """Faces that `prepare` wrote."""
    labels = pq.read_table(folder / "labels.parquet").to_pydict()
    return Faces(
        images=np.load(folder / "images.npy", mmap_mode="r"),
        landmarks=np.load(folder / "landmarks.npy"),
        **{name: np.array(labels[name]) for name in ("age", "gender", "race", "content")},
    )


def is_held_out(content: NDArray[np.str_], share: float) -> NDArray[np.bool_]:
    """Picks by content hash: a face stays on its side whatever file it comes in, and equal pictures stay together."""
    threshold = int(share * 16**8)
    return np.array([int(digest[:8], 16) < threshold for digest in content])


def landmarks_of(image: ByteImage, detector: FaceDetector) -> FloatArray:
    """(5, 2) landmarks of the labelled face, chosen as evaluation chooses it; NaN where none is found."""
    found = labelled_detection(detector.detect(image), image)
    return np.full((5, 2), np.nan, dtype=np.float32) if found is None else found.landmarks


def _cache_key(sources: list[Path], side: int) -> dict[str, object]:
    files = [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in sources]
    return {"format": 1, "files": files, "side": side, "detector": repr(_DETECTOR)}


def _labelled(path: Path) -> LabelledFaces:
    source = LabelledFaces(path)
    if source.races is None:
        raise SettingsError(f"{path} has no column race, which the captions of FairUser need")
    return source


def _encoded_batches(sources: list[LabelledFaces]) -> Iterator[list[bytes]]:
    for source in sources:
        for images in source.images(_BATCH):
            yield [data or b"" for data in images]


def _start_worker() -> None:
    global _worker_detector  # noqa: PLW0603 - a pool's initializer has no other place to leave it
    cv2.setNumThreads(1)
    _worker_detector = create_detector(_DETECTOR)


def _decode_and_detect(job: tuple[list[bytes], int]) -> tuple[NDArray[np.uint8], FloatArray]:
    assert _worker_detector is not None
    encoded, side = job
    pictures = np.stack([_picture(data, side) for data in encoded])
    return pictures, np.stack([landmarks_of(picture, _worker_detector) for picture in pictures])


def _picture(data: bytes, side: int) -> ByteImage:
    """The decoded picture, or a black one in which no face will be found: one bad file does not stop a training."""
    try:
        image = decode_compressed(data)
    except ImageError:
        return np.zeros((side, side, 3), dtype=np.uint8)
    if image.shape[:2] == (side, side):
        return image
    return np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA))


def _write_labels(sources: list[LabelledFaces], target: Path) -> None:
    columns: dict[str, list[str]] = {"age": [], "gender": [], "race": [], "content": []}
    for source in sources:
        columns["age"] += source.ages
        columns["gender"] += source.genders
        columns["race"] += source.races or []
        columns["content"] += [hashlib.sha256(data or b"").hexdigest() for batch in source.images() for data in batch]
    pq.write_table(pa.table(columns), target)
