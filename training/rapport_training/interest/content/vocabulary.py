"""A vocabulary of WordPieces from a catalogue's titles, where no model brings one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tokenizers import normalizers, pre_tokenizers
from transformers import BertTokenizer

from rapport_edge.errors import SettingsError

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def wordpieces_of(titles: Iterable[str], words: int) -> list[str]:
    """Special tokens, every character alone and within a word, then the most frequent words that occur twice.

    WordPiece takes the longest piece that fits, so a rare word falls back to its characters and none is unknown whose
    characters were seen. The same titles give the same list.

    Args:
        titles: of the catalogue.
        words: how many words at most.
    """
    normaliser = normalizers.BertNormalizer(lowercase=True)
    splitter = pre_tokenizers.BertPreTokenizer()
    counts: Counter[str] = Counter()
    for title in titles:
        counts.update(word for word, _ in splitter.pre_tokenize_str(normaliser.normalize_str(title)))
    characters = sorted({character for word in counts for character in word})
    frequent = sorted((word for word, n in counts.items() if n > 1 and len(word) > 1), key=lambda w: (-counts[w], w))
    return [*SPECIAL, *characters, *(f"##{character}" for character in characters), *frequent[:words]]


def tokenizer_of(pieces: list[str]) -> BertTokenizer:
    """BERT's tokenizer, lower case, over a vocabulary."""
    return BertTokenizer(vocab={piece: number for number, piece in enumerate(pieces)})


def read_pieces(path: Path) -> list[str]:
    """vocab.txt, one piece a line.

    Raises:
        SettingsError: if it cannot be read or lacks a special token.
    """
    try:
        pieces = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read the vocabulary {path}: {error}") from error
    missing = [token for token in SPECIAL if token not in pieces]
    if missing:
        raise SettingsError(f"the vocabulary {path} lacks {', '.join(missing)}; it must be BERT's vocab.txt")
    return pieces
