"""Parameters of the node face_perception."""

from __future__ import annotations

from typing import Annotated

import msgspec

from rapport_edge.pipeline import PipelineSettings
from rapport_ros.image_input_settings import ImageInputSettings
from rapport_ros.rep155 import FACE_HEIGHT_PARAMETER, FACE_WIDTH_PARAMETER

CropSide = Annotated[int, msgspec.Meta(ge=16, le=1024)]


class FacePerceptionSettings(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    kw_only=True,
    rename={"face_width": FACE_WIDTH_PARAMETER, "face_height": FACE_HEIGHT_PARAMETER},
):
    """What face_perception reads from its parameters.

    Attributes:
        image: where images come from.
        pipeline: detection, tracking, quality, encoding and fusion.
        recognizer_bundle: folder of a face-recognizer bundle, the same as profile_store's parameter of this name; "",
            the default: no embedding of anybody's identity is computed.
        face_width, face_height: pixels of the cropped and aligned faces of REP 155.
    """

    image: ImageInputSettings = ImageInputSettings()
    pipeline: PipelineSettings = PipelineSettings()
    recognizer_bundle: str = ""
    face_width: CropSide = 128
    face_height: CropSide = 128
