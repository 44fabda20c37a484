"""The contract of a face detector."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from rapport_edge.detection.letterbox import fit
from rapport_edge.faces import ByteImage, Detection, FloatArray


class FaceDetector(ABC):
    """Finds faces with five landmarks in an image of any size.

    A subclass implements `_infer` on a working picture; scaling there and back is done once, here.

    Attributes:
        network_seconds: how long the network alone ran in the newest `detect`; the rest of its time is ours.
    """

    #: The working picture's sides are multiples of it.
    stride: int = 32

    def __init__(self, working_size: tuple[int, int]) -> None:
        self._working_size = working_size
        self.network_seconds = 0.0

    @property
    @abstractmethod
    def description(self) -> str:
        """Detector, model and engine, for logs and diagnostics."""

    def detect(self, image: ByteImage) -> list[Detection]:
        """Faces in descending order of score, in pixels of `image`.

        Args:
            image: (h, w, 3) uint8 RGB.

        Raises:
            ValueError: if the image has another shape or dtype, or no pixels.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
            raise ValueError(f"a detector takes (h, w, 3) uint8 RGB images, not {image.dtype} {image.shape}")
        letterbox = fit(image.shape[1], image.shape[0], self._working_size, self.stride)
        boxes, landmarks, scores = self._infer(letterbox.apply(image))
        boxes = letterbox.to_image(boxes.reshape(-1, 2, 2)).reshape(-1, 4)
        landmarks = letterbox.to_image(landmarks)
        order = np.argsort(-scores, kind="stable")
        return [Detection(boxes[i], landmarks[i], float(scores[i])) for i in order]

    @abstractmethod
    def _infer(self, picture: ByteImage) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Boxes (n, 4), landmarks (n, 5, 2) and scores (n,) in pixels of the working picture, already suppressed.

        Sets `network_seconds`.
        """
