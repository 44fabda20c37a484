"""Faces for an export: those that travel with the bundle, that a graph is compared on, and that calibrate it."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from rapport_edge.alignment import CropTemplate, align
from rapport_edge.detection import DetectorSettings, create_detector
from rapport_edge.errors import RapportError
from rapport_edge.faces import ByteImage, FloatArray
from rapport_training.data.user_faces import UserFaces
from rapport_training.demographic.dataset import FaceCrops
from rapport_training.demographic.onnx_export import ExportedEncoder
from rapport_training.demographic.prompts import LABELS

_BATCH = 64
#: How many golden faces there are.
GOLDEN = 3


def golden_faces(template: CropTemplate) -> ByteImage:
    """(GOLDEN, s, s, 3): the astronaut's face (NASA, public domain), its mirror image and noise."""
    from skimage import data

    photograph = np.ascontiguousarray(data.astronaut())
    face = create_detector(DetectorSettings()).detect(photograph)[0]
    crop = align(photograph, face.landmarks, template)
    noise = np.random.default_rng(0).integers(0, 256, size=crop.shape, dtype=np.uint8)
    return np.stack([crop, crop[:, ::-1], noise])


def crops_of(crops: FaceCrops) -> ByteImage:
    """(n, s, s, 3) uint8 of a whole subset."""
    batch = crops.__getitems__(list(range(len(crops))))
    return np.ascontiguousarray(batch.crops.permute(0, 2, 3, 1).numpy())


@torch.no_grad()
def embed(image: ExportedEncoder, faces: ByteImage) -> FloatArray:
    """(n, d) float32 unit vectors of (n, s, s, 3) crops, by PyTorch."""
    device = next(image.parameters()).device
    return np.asarray(image(torch.from_numpy(faces).to(device)).cpu().numpy(), dtype=np.float32)


def embed_all(image: ExportedEncoder, crops: FaceCrops) -> FloatArray:
    """As the graph, up to `parity.PARITY`: the same module with the same weights."""
    rows = range(0, len(crops), _BATCH)
    parts = [FaceCrops(crops.faces, crops.rows[row : row + _BATCH], crops.template, seed=None) for row in rows]
    return np.concatenate([embed(image, crops_of(part)) for part in parts])


def labelled(faces: UserFaces, attribute: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows whose label of an attribute is known, and the label's index.

    Raises:
        RapportError: if there is none.
    """
    index = {label: number for number, label in enumerate(LABELS[attribute])}
    truth = np.array([index.get(str(label), -1) for label in getattr(faces, attribute)])
    rows = np.flatnonzero(truth >= 0)
    if not len(rows):
        raise RapportError(
            f"{faces.name} ({faces.split}) has no face with a known {attribute}, so its head cannot be calibrated; "
            f"leave {attribute} out of the attributes, or give another data set"
        )
    return rows, truth[rows]
