"""Builds the detector that the settings name."""

from __future__ import annotations

from pathlib import Path

from rapport_edge.detection.base import FaceDetector
from rapport_edge.detection.centerface import CenterFaceDetector, centerface_model
from rapport_edge.detection.settings import DetectorSettings
from rapport_edge.detection.yunet import YuNetDetector
from rapport_edge.engines import EngineSettings, create_engine


def create_detector(settings: DetectorSettings, engine: EngineSettings | None = None) -> FaceDetector:
    """A detector that is ready to run.

    Args:
        settings: which detector, its file and thresholds.
        engine: how CenterFace's network runs; YuNet runs inside OpenCV and has no engine.

    Raises:
        ModelError: if the model's file is missing or unusable.
    """
    thresholds = (settings.score_threshold, settings.nms_threshold)
    if settings.name == "yunet":
        return YuNetDetector(Path(settings.model_path).expanduser(), settings.working_size, *thresholds)
    loaded = create_engine(centerface_model(), engine or EngineSettings())
    return CenterFaceDetector(loaded, settings.working_size, *thresholds)
