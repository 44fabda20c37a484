"""The whole way from an image to estimates, for one camera."""

from rapport_edge.pipeline.face_pipeline import FacePipeline
from rapport_edge.pipeline.factory import create_pipeline
from rapport_edge.pipeline.recognition import Recogniser, create_recogniser
from rapport_edge.pipeline.results import FrameResult, ObservedFace
from rapport_edge.pipeline.settings import PipelineSettings

__all__ = [
    "FacePipeline",
    "FrameResult",
    "ObservedFace",
    "PipelineSettings",
    "Recogniser",
    "create_pipeline",
    "create_recogniser",
]
