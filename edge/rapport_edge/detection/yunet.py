"""YuNet (Wu et al. 2023) through OpenCV; faster than CenterFace, but its file is in no package."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import cv2
import numpy as np

from rapport_edge.detection.base import FaceDetector
from rapport_edge.errors import ModelError
from rapport_edge.faces import ByteImage, FloatArray


class YuNetDetector(FaceDetector):
    """`cv2.FaceDetectorYN` behind the common contract; suppression happens inside OpenCV."""

    def __init__(
        self, model_path: Path, working_size: tuple[int, int], score_threshold: float, nms_threshold: float
    ) -> None:
        super().__init__(working_size)
        self._model_path = model_path
        if not model_path.is_file():
            raise ModelError(
                f"no YuNet model at {str(model_path)!r}; download face_detection_yunet_2023mar.onnx from OpenCV's "
                "model zoo and set model_path, or use the detector 'centerface', which needs no file"
            )
        try:
            self._network = cv2.FaceDetectorYN.create(str(model_path), "", working_size, score_threshold, nms_threshold)
            self._network.detect(np.zeros((working_size[1], working_size[0], 3), dtype=np.uint8))
        except cv2.error as error:
            raise ModelError(
                f"{model_path} is not a YuNet model that OpenCV {cv2.__version__} runs: {error}"
            ) from error
        self._lock = threading.Lock()  # setInputSize and detect change the network's state

    @property
    def description(self) -> str:
        """Detector, file, working size and OpenCV's version."""
        size = f"{self._working_size[0]}x{self._working_size[1]}"
        return f"YuNet ({self._model_path.name}) at {size} on OpenCV {cv2.__version__}"

    def _infer(self, picture: ByteImage) -> tuple[FloatArray, FloatArray, FloatArray]:
        bgr = picture[:, :, ::-1]
        with self._lock:
            self._network.setInputSize((picture.shape[1], picture.shape[0]))
            started = time.perf_counter()
            _, found = self._network.detect(np.ascontiguousarray(bgr))
            self.network_seconds = time.perf_counter() - started  # with suppression, which OpenCV does in the same call
        rows = np.zeros((0, 15), dtype=np.float32) if found is None else np.asarray(found, dtype=np.float32)
        boxes = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1)
        return boxes, rows[:, 4:14].reshape(-1, 5, 2), rows[:, 14]
