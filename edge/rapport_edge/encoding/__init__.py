"""Aligned faces to embeddings, probabilities and answers."""

from rapport_edge.encoding.encoder import Encoding, FaceEncoder
from rapport_edge.encoding.estimates import estimate_all
from rapport_edge.encoding.factory import create_encoder

__all__ = ["Encoding", "FaceEncoder", "create_encoder", "estimate_all"]
