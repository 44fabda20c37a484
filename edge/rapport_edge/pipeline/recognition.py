"""Views of who a face is: embeddings of a face recogniser, which a deployment switches on by naming its bundle."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rapport_edge.alignment import align
from rapport_edge.bundle import load_bundle
from rapport_edge.bundle.manifest import FaceRecognizer, task_of
from rapport_edge.encoding import FaceEncoder, create_encoder
from rapport_edge.engines import EngineSettings
from rapport_edge.errors import BundleError
from rapport_edge.faces import ByteImage, FloatArray, Track
from rapport_edge.pipeline.results import FrameResult


class Recogniser:
    """Encodes good views of each face, at most one per interval. Not thread-safe.

    Args:
        encoder: runs a face-recognizer bundle.
        interval_s: seconds between two views of one track.
    """

    def __init__(self, encoder: FaceEncoder, interval_s: float) -> None:
        self.encoder = encoder
        self._interval = interval_s
        self._encoded_at: dict[str, float] = {}

    def views(self, image: ByteImage, result: FrameResult) -> dict[str, FloatArray]:
        """(d,) float32 embeddings of unit length by track id, of the faces whose view is good enough and due.

        Args:
            image: (h, w, 3) uint8 RGB, the one that gave the result.
            result: of `FacePipeline.process`.

        Raises:
            ModelError: if the model fails.
        """
        for track_id in result.removed:
            self._encoded_at.pop(track_id, None)
        good = [face.track for face in result.faces if face.quality is not None and face.gate_refusal is None]
        due = [track for track in good if self._is_due(track, result.stamp)]
        if not due:
            return {}
        crops = np.stack([align(image, track.detection.landmarks, self.encoder.crop) for track in due])
        embeddings = self.encoder.encode(crops).embeddings
        self._encoded_at |= {track.id: result.stamp for track in due}
        return {track.id: row for track, row in zip(due, embeddings, strict=True)}

    def _is_due(self, track: Track, stamp: float) -> bool:
        """A clock that went backwards makes a view due, too."""
        last = self._encoded_at.get(track.id)
        return last is None or not 0.0 <= stamp - last < self._interval


def create_recogniser(folder: Path, settings: EngineSettings, interval_s: float) -> Recogniser:
    """A recogniser that is ready to run.

    Raises:
        BundleError: if the bundle is incomplete, altered, or of another task.
        ModelError: if its model cannot be loaded.
    """
    bundle = load_bundle(folder)
    if not isinstance(bundle.manifest, FaceRecognizer):
        raise BundleError(f"bundle {folder} is a {task_of(bundle.manifest)}, not a face-recognizer")
    return Recogniser(create_encoder(bundle, settings), interval_s)
