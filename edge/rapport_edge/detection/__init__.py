"""Face detectors behind one abstract class."""

from rapport_edge.detection.base import FaceDetector
from rapport_edge.detection.factory import create_detector
from rapport_edge.detection.settings import DetectorSettings

__all__ = ["DetectorSettings", "FaceDetector", "create_detector"]
