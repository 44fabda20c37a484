"""Landmarks of labelled faces, found once by the robot's decoder and detector.

Detection costs more than a training step, so a data set carries its landmarks with it.
"""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context

import cv2
import numpy as np

from rapport_edge.alignment import ARCFACE_112, similarity_transform
from rapport_edge.detection import DetectorSettings, FaceDetector, create_detector
from rapport_edge.errors import ImageError
from rapport_edge.evaluation.cropping import labelled_detection
from rapport_edge.faces import ByteImage, FloatArray
from rapport_edge.images import decode_compressed
from rapport_training.data.rows import SourceRow

#: The robot's detector, at a size that suits pictures which one face fills.
DETECTOR = DetectorSettings(working_size=(160, 160))

_BATCH = 32
_worker_detector: FaceDetector | None = None  # one per process of the pool


@dataclass(frozen=True, slots=True)
class Found:
    """What became of one picture.

    Attributes:
        landmarks: (5, 2) float32 in pixels of the picture; None where no face was found.
        problem: why the picture cannot be decoded, or "".
    """

    landmarks: FloatArray | None
    problem: str


def find_landmarks(rows: Iterable[SourceRow], processes: int) -> Iterator[tuple[SourceRow, Found]]:
    """Decodes every picture and finds the labelled face in it, in the order of the rows.

    Only as many pictures are in memory as the processes need to stay busy.

    Args:
        rows: each with a picture.
        processes: that decode and detect at the same time.
    """
    if processes == 1:
        detector = create_detector(DETECTOR)
        yield from ((row, examine(row.image or b"", detector)) for row in rows)
        return
    spawn = get_context("spawn")  # a fork would copy the locks of the runtime's threads, but not the threads
    waiting: deque[tuple[Sequence[SourceRow], Future[list[Found]]]] = deque()
    with ProcessPoolExecutor(processes, spawn, initializer=_start_worker) as pool:
        for batch in _batched(rows):
            waiting.append((batch, pool.submit(_examine, [row.image or b"" for row in batch])))
            if len(waiting) > 2 * processes:
                yield from _finished(waiting)
        while waiting:
            yield from _finished(waiting)


def landmarks_of(image: ByteImage, detector: FaceDetector) -> FloatArray | None:
    """(5, 2) landmarks of the labelled face, chosen as evaluation chooses it; None where none can be aligned."""
    found = labelled_detection(detector.detect(image), image)
    if found is None:
        return None
    try:
        similarity_transform(found.landmarks, ARCFACE_112)
    except ValueError:  # landmarks that coincide are as good as none
        return None
    return found.landmarks


def _batched(rows: Iterable[SourceRow]) -> Iterator[list[SourceRow]]:
    iterator = iter(rows)
    while batch := list(islice(iterator, _BATCH)):
        yield batch


def _finished(waiting: deque[tuple[Sequence[SourceRow], Future[list[Found]]]]) -> Iterator[tuple[SourceRow, Found]]:
    batch, future = waiting.popleft()
    yield from zip(batch, future.result(), strict=True)


def _start_worker() -> None:
    global _worker_detector  # noqa: PLW0603 - a pool's initializer has no other place to leave it
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that writes
    cv2.setNumThreads(1)
    _worker_detector = create_detector(DETECTOR)


def _examine(pictures: list[bytes]) -> list[Found]:
    assert _worker_detector is not None
    return [examine(data, _worker_detector) for data in pictures]


def examine(data: bytes, detector: FaceDetector) -> Found:
    """Decodes one encoded picture and finds its landmarks."""
    try:
        image = decode_compressed(data)
    except ImageError as error:
        return Found(None, str(error))
    points = landmarks_of(image, detector)
    return Found(None if points is None else np.asarray(points, dtype=np.float32), "")
