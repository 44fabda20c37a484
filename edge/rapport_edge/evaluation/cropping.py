"""From an encoded picture to the crop that the robot would encode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rapport_edge.alignment import CropTemplate, align, resize_whole
from rapport_edge.detection import FaceDetector
from rapport_edge.errors import ImageError
from rapport_edge.faces import ByteImage, Detection
from rapport_edge.images import decode_compressed


@dataclass(frozen=True, slots=True)
class LabelledCrop:
    """What becomes of one picture.

    Attributes:
        crop: (s, s, 3) uint8 RGB; None if the picture could not be decoded.
        missed: True if no face was found and the crop is the whole picture.
    """

    crop: ByteImage | None
    missed: bool


def crop_labelled_face(data: bytes | None, detector: FaceDetector, template: CropTemplate) -> LabelledCrop:
    """Decodes, detects and aligns as the robot does; a face that is not found is the whole picture, made square.

    Args:
        data: a JPEG, PNG or WebP file, or None.
        detector: finds the face.
        template: the encoder's crop.
    """
    if data is None:
        return LabelledCrop(None, missed=False)
    try:
        image = decode_compressed(data)
    except ImageError:
        return LabelledCrop(None, missed=False)
    detection = labelled_detection(detector.detect(image), image)
    if detection is not None:
        try:
            return LabelledCrop(align(image, detection.landmarks, template), missed=False)
        except ValueError:  # landmarks that coincide are as good as none
            pass
    return LabelledCrop(resize_whole(image, template.size), missed=True)


def labelled_detection(detections: Sequence[Detection], image: ByteImage) -> Detection | None:
    """Which of several faces the label means: of those at least half as high as the highest, the most central one.

    Collections of labelled faces are cut so that the labelled face is in the middle; bystanders are smaller or aside.
    """
    if not detections:
        return None
    heights = [float(found.box[3] - found.box[1]) for found in detections]
    large = [found for found, height in zip(detections, heights, strict=True) if height >= 0.5 * max(heights)]
    middle = np.array([image.shape[1], image.shape[0]], dtype=np.float32) / 2.0 - 0.5

    def distance(found: Detection) -> float:
        return float(np.linalg.norm((found.box[:2] + found.box[2:]) / 2.0 - middle))

    return min(large, key=distance)
