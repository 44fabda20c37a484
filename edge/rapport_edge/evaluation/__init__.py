"""Measures any bundle on any labelled faces through the robot's own code."""

from rapport_edge.evaluation.labelled_faces import DataSetError, LabelledFaces
from rapport_edge.evaluation.report import Report
from rapport_edge.evaluation.runner import evaluate

__all__ = ["DataSetError", "LabelledFaces", "Report", "evaluate"]
