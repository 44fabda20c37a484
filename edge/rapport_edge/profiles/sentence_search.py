"""Persons by a sentence: the paper's user retrieval, over those who agreed to be remembered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from rapport_edge.bundle import Bundle, default_bundle_path, load_bundle, load_policy
from rapport_edge.bundle.manifest import ClosedText
from rapport_edge.bundle.vocabulary import ATTRIBUTE_WORDS, attributes_in
from rapport_edge.encoding import SentenceError, TextEncoder, create_text_encoder
from rapport_edge.engines import EngineSettings
from rapport_edge.errors import SettingsError
from rapport_edge.faces import FloatArray


class FindSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether and how persons may be found by a sentence.

    Attributes:
        bundle_path: folder of the demographic bundle that face_perception uses, too; "" is the one that comes with this
            package.
        policy_path: the operator's policy file, for bundles that a robot otherwise refuses; "" for none.
        allowed_attributes: what a sentence may speak of: "age", "gender". Empty, the default: nobody is found.
    """

    bundle_path: str = ""
    policy_path: str = ""
    allowed_attributes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """A sentence, ready to be compared with stored faces.

    Attributes:
        embedding: (d,) float32, unit length.
        model_digest: of the model whose embeddings of faces it compares with.
        unknown: words that were left out.
    """

    embedding: FloatArray
    model_digest: str
    unknown: tuple[str, ...]


class SentenceSearch:
    """Turns sentences into queries; the text tower is loaded when the first one comes. Not thread-safe.

    Args:
        settings: see there.

    Raises:
        BundleError: if the bundle is incomplete, altered, or not allowed here.
        SettingsError: if an allowed attribute is none that sentences speak of.
    """

    def __init__(self, settings: FindSettings) -> None:
        self._allowed = settings.allowed_attributes
        unknown = sorted(set(self._allowed) - set(ATTRIBUTE_WORDS))
        if unknown:
            raise SettingsError(
                f"find.allowed_attributes names {', '.join(unknown)}; "
                f"sentences may speak of {', '.join(ATTRIBUTE_WORDS)}"
            )
        self._bundle = _bundle(settings) if self._allowed else None
        self._encoder: TextEncoder | None = None

    @property
    def obstacle(self) -> str:
        """Why nobody can be found; "" if somebody can."""
        if self._bundle is None:
            return "find.allowed_attributes is empty: this deployment allows no search for persons"
        if self._bundle.text is None:
            return f"persons are found by a sentence through a bundle with a text tower; {self._bundle.path} has none"
        return ""

    def query(self, sentence: str) -> Query:
        """What to look for.

        Raises:
            SettingsError: if this deployment does not allow the search, or not by what the sentence speaks of.
            SentenceError: if the sentence says nothing about a person that the text tower understands, or is too long.
            BundleError, ModelError: if the text tower cannot be loaded or run.
        """
        if self._bundle is None or self.obstacle:
            raise SettingsError(self.obstacle)
        if self._encoder is None:
            # A question now and then is no reason to occupy a GPU.
            self._encoder = create_text_encoder(self._bundle, EngineSettings(name="onnxruntime-cpu"))
        encoded = self._encoder.encode(sentence)
        if isinstance(self._bundle.text, ClosedText):
            self._check(encoded.known, encoded.unknown)
        return Query(encoded.embedding, self._bundle.digest, encoded.unknown)

    def _check(self, known: Iterable[str], unknown: tuple[str, ...]) -> None:
        said = attributes_in(known)
        if not said:
            left_out = f" (not known: {', '.join(unknown)})" if unknown else ""
            raise SentenceError(f"the sentence says nothing about gender or age{left_out}")
        forbidden = [name for name in said if name not in self._allowed]
        if forbidden:
            raise SettingsError(
                f"the sentence speaks of {' and '.join(forbidden)}, but find.allowed_attributes is "
                f"{', '.join(self._allowed)}"
            )


def _bundle(settings: FindSettings) -> Bundle:
    path = Path(settings.bundle_path).expanduser() if settings.bundle_path else default_bundle_path()
    policy = load_policy(Path(settings.policy_path).expanduser()) if settings.policy_path else None
    return load_bundle(path, policy)
