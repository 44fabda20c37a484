"""From sentences to tokens, as the text tower of a bundle was taught to read."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from rapport_edge.bundle.manifest import ClosedText, TextTower
from rapport_edge.bundle.vocabulary import split_words
from rapport_edge.errors import BundleError


@dataclass(frozen=True, slots=True)
class TokenizedSentence:
    """A sentence as tokens, without start and end.

    Attributes:
        tokens: of the words that are known.
        known: those words, lower case; empty where every word is known.
        unknown: the words that are not; signs such as a full stop are left out in silence.
    """

    tokens: tuple[int, ...]
    known: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


Tokenizer: TypeAlias = Callable[[str], TokenizedSentence]


class ClosedTokenizer:
    """Knows a list of words; the sentence is read as if the others were not there.

    Args:
        words: the tokens of each word, lower case.
    """

    def __init__(self, words: Mapping[str, tuple[int, ...]]) -> None:
        self._words = words

    def __call__(self, sentence: str) -> TokenizedSentence:
        """The known words' tokens in their order."""
        words = split_words(sentence)
        known = tuple(word for word in words if word in self._words)
        unknown = tuple(word for word in words if word not in self._words and any(map(str.isalnum, word)))
        return TokenizedSentence(tuple(token for word in known for token in self._words[word]), known, unknown)


class OpenTokenizer:
    """CLIP's byte-pair tokenizer through the `tokenizers` library, as open_clip's `SimpleTokenizer` reads.

    Args:
        path: a tokenizer.json without normaliser: text is cleaned here, because the cleaning that CLIP was trained with
            (ftfy, HTML entities) is not among the library's normalisers.

    Raises:
        BundleError: if the file is none, or the libraries are not installed.
    """

    def __init__(self, path: Path) -> None:
        try:
            import ftfy
            from tokenizers import Tokenizer as LibraryTokenizer
        except ImportError as error:
            raise BundleError(
                f"a text tower that knows every word needs {error.name}: pip install 'rapport-edge[open-text]'"
            ) from error
        self._repair: Callable[[str], str] = ftfy.fix_text
        try:
            self._tokenizer = LibraryTokenizer.from_file(str(path))
        except Exception as error:  # the library raises nothing narrower
            raise BundleError(f"{path} is not a tokenizer: {error}") from error

    def __call__(self, sentence: str) -> TokenizedSentence:
        """All tokens of the sentence."""
        return TokenizedSentence(tuple(self._tokenizer.encode(self._clean(sentence), add_special_tokens=False).ids))

    def _clean(self, sentence: str) -> str:
        """Repaired, without HTML entities, with single blanks, lower case: open_clip's `clean="lower"`."""
        plain = html.unescape(html.unescape(self._repair(sentence)))
        return " ".join(plain.split()).lower()


def create_tokenizer(folder: Path, tower: TextTower) -> Tokenizer:
    """The tokenizer of a bundle's text tower.

    Raises:
        BundleError: as `OpenTokenizer`.
    """
    return ClosedTokenizer(tower.words) if isinstance(tower, ClosedText) else OpenTokenizer(folder / tower.tokenizer)
