"""Aligned faces to embeddings, probabilities and answers."""

from rapport_edge.encoding.encoder import Encoding, FaceEncoder
from rapport_edge.encoding.estimates import estimate_all
from rapport_edge.encoding.factory import create_encoder
from rapport_edge.encoding.text_encoder import EncodedSentence, SentenceError, TextEncoder, create_text_encoder

__all__ = [
    "EncodedSentence",
    "Encoding",
    "FaceEncoder",
    "SentenceError",
    "TextEncoder",
    "create_encoder",
    "create_text_encoder",
    "estimate_all",
]
