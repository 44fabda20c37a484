"""The text encoder: sentences to embeddings that those of faces compare with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rapport_edge.bundle.golden import golden_case
from rapport_edge.bundle.loader import Bundle
from rapport_edge.bundle.manifest import DemographicEncoder, Model, TextTower
from rapport_edge.encoding.encoder import check_tensors, unit_length
from rapport_edge.encoding.tokens import TokenizedSentence, Tokenizer, create_tokenizer
from rapport_edge.engines import EngineSettings, create_engine
from rapport_edge.engines.base import Engine
from rapport_edge.errors import BundleError, RapportError
from rapport_edge.faces import FloatArray


class SentenceError(RapportError):
    """A sentence that a text tower cannot take: too long, or without a word that it knows."""


@dataclass(frozen=True, slots=True)
class EncodedSentence:
    """What a text encoder makes of one sentence.

    Attributes:
        embedding: (d,) float32, unit length.
        known: the words that were understood, lower case; empty for a text tower that knows every word.
        unknown: the words that were left out.
    """

    embedding: FloatArray
    known: tuple[str, ...]
    unknown: tuple[str, ...]


class TextEncoder:
    """Runs the text tower of a demographic-encoder bundle.

    Args:
        tower: its part of the manifest.
        model: the manifest's description of its graph.
        tokenizer: of the tower.
        engine: has loaded the model.
    """

    def __init__(self, tower: TextTower, model: Model, tokenizer: Tokenizer, engine: Engine) -> None:
        self._tower, self._tokenizer, self._engine = tower, tokenizer, engine
        self._input = model.inputs[0].name

    @property
    def description(self) -> str:
        """What runs it, for logs."""
        return self._engine.description

    def tokens(self, sentence: str) -> NDArray[np.int64]:
        """(context_length,) int64: start, tokens, end, and zeros.

        Raises:
            SentenceError: if the sentence has more tokens than the context, or none that the tower knows.
        """
        return self._padded(self._tokenizer(sentence))

    def encode(self, sentence: str) -> EncodedSentence:
        """The embedding of a sentence.

        Raises:
            SentenceError: as `tokens`.
            ModelError: if the engine fails or the embedding is not finite.
        """
        tokenized = self._tokenizer(sentence)
        output = self._engine.run({self._input: self._padded(tokenized)[None]})[0]
        embedding = unit_length(np.asarray(output, dtype=np.float32))[0]
        return EncodedSentence(embedding, tokenized.known, tokenized.unknown)

    def _padded(self, sentence: TokenizedSentence) -> NDArray[np.int64]:
        context, count = self._tower.context_length, len(sentence.tokens) + 2
        if not sentence.tokens:
            left_out = f"; not known: {', '.join(sentence.unknown)}" if sentence.unknown else ""
            raise SentenceError(f"the text tower knows no word of the sentence{left_out}")
        if count > context:
            raise SentenceError(
                f"the sentence has {count} tokens, start and end included; the text tower takes {context}: shorten it"
            )
        padded = np.zeros(context, dtype=np.int64)
        padded[:count] = (self._tower.start, *sentence.tokens, self._tower.end)
        return padded


def create_text_encoder(bundle: Bundle, settings: EngineSettings | None = None) -> TextEncoder:
    """Loads the bundle's text tower, whose golden sentences must become its golden tokens.

    Raises:
        BundleError: if the bundle has no text tower, does not describe its graph, or its tokenizer reads the golden
            sentences differently.
        ModelError: if the ONNX file is not one, or no engine can run it.
    """
    manifest = bundle.manifest
    if not isinstance(manifest, DemographicEncoder) or manifest.text is None:
        raise BundleError(f"bundle {bundle.path} has no text tower")
    tower = manifest.text
    model = next(model for model in manifest.models if model.file == tower.model)
    case = golden_case(bundle, model)
    engine = create_engine(bundle.path / model.file, settings or EngineSettings(), [case.inputs] if case else [])
    check_tensors(bundle, model.inputs, engine.inputs)
    check_tensors(bundle, model.outputs, engine.outputs)
    encoder = TextEncoder(tower, model, create_tokenizer(bundle.path, tower), engine)
    if case is not None:
        _check_sentences(bundle, encoder, tower.sentences, case.inputs[model.inputs[0].name])
    return encoder


def _check_sentences(
    bundle: Bundle, encoder: TextEncoder, sentences: Sequence[str], expected: NDArray[np.int64]
) -> None:
    found = np.stack([encoder.tokens(sentence) for sentence in sentences])
    if not np.array_equal(found, expected):
        raise BundleError(f"bundle {bundle.path}: the tokenizer does not read the golden sentences as its exporter did")
