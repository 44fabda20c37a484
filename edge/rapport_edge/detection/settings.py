"""Settings of a face detector."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Fraction = Annotated[float, msgspec.Meta(gt=0.0, lt=1.0)]
Side = Annotated[int, msgspec.Meta(ge=32, le=4096)]


class DetectorSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which detector runs, and how.

    Attributes:
        name: "centerface" needs no file; "yunet" reads `model_path`.
        model_path: ONNX file of YuNet (OpenCV's zoo, face_detection_yunet_2023mar.onnx).
        working_size: width and height in pixels that an image is fitted into before detection, larger or smaller.
            Smaller is faster and misses smaller faces: the smallest found are about 10 working pixels wide.
        score_threshold: detections below it are dropped.
        nms_threshold: of two boxes with a larger intersection over union only the better scored is kept.
    """

    name: Literal["centerface", "yunet"] = "centerface"
    model_path: str = ""
    working_size: tuple[Side, Side] = (320, 256)
    score_threshold: Fraction = 0.5
    nms_threshold: Fraction = 0.3
