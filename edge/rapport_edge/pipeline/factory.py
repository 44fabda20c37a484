"""Builds a pipeline from its settings."""

from __future__ import annotations

from pathlib import Path

from rapport_edge.bundle import default_bundle_path, load_bundle, load_policy
from rapport_edge.detection import create_detector
from rapport_edge.encoding import FaceEncoder, create_encoder
from rapport_edge.pipeline.face_pipeline import FacePipeline
from rapport_edge.pipeline.settings import PipelineSettings
from rapport_edge.quality import QualityGate
from rapport_edge.tracking import FaceTracker


def create_pipeline(settings: PipelineSettings) -> FacePipeline:
    """A pipeline that is ready to run.

    Raises:
        BundleError: if the bundle or the policy is incomplete, altered, or not allowed here.
        ModelError: if a model cannot be loaded.
        SettingsError: if an allowed attribute is not one of the bundle's.
    """
    encoder = _create_encoder(settings) if settings.allowed_attributes else None
    detector = create_detector(settings.detector, settings.engine)
    return FacePipeline(detector, FaceTracker(settings.tracker), QualityGate(settings.gate), encoder, settings)


def _create_encoder(settings: PipelineSettings) -> FaceEncoder:
    path = Path(settings.bundle_path).expanduser() if settings.bundle_path else default_bundle_path()
    policy = load_policy(Path(settings.policy_path).expanduser()) if settings.policy_path else None
    return create_encoder(load_bundle(path, policy), settings.engine)
