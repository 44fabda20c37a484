"""Tracking of faces: ids that last, and a place on every frame."""

from rapport_edge.tracking.settings import TrackerSettings
from rapport_edge.tracking.tracker import FaceTracker

__all__ = ["FaceTracker", "TrackerSettings"]
