"""An encoder that is ready to run, from a bundle and the engine's settings."""

from __future__ import annotations

from rapport_edge.bundle.golden import golden_case
from rapport_edge.bundle.loader import Bundle
from rapport_edge.encoding.encoder import FaceEncoder
from rapport_edge.engines import EngineSettings, create_engine


def create_encoder(bundle: Bundle, settings: EngineSettings | None = None) -> FaceEncoder:
    """Loads the bundle's model into an engine; golden inputs go along, to hold an engine that compiles to them.

    Raises:
        BundleError: if the bundle is no face encoder, or does not describe its graph.
        ModelError: if the ONNX file is not one, or no engine can run it.
    """
    case = golden_case(bundle)
    engine = create_engine(bundle.onnx_path, settings or EngineSettings(), [case.inputs] if case else [])
    return FaceEncoder(bundle, engine)
