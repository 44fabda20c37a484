"""Captions that fit CLIP's text tower."""

from __future__ import annotations

from rapport_training.data.captioners.instructions import sentences

#: Tokens that CLIP's text tower takes, start and end included.
CONTEXT = 77


class ClipLength:
    """Counts tokens with CLIP's tokenizer and shortens what is too long."""

    def __init__(self) -> None:
        from open_clip.tokenizer import SimpleTokenizer  # imports torch

        self._tokenizer = SimpleTokenizer()

    def tokens(self, text: str) -> int:
        """Number of tokens, start and end included."""
        return len(self._tokenizer.encode(text)) + 2

    def fits(self, text: str) -> bool:
        """Whether the text tower reads all of it."""
        return self.tokens(text) <= CONTEXT

    def shortened(self, text: str) -> str:
        """As many whole sentences as fit, or, if the first is too long already, as many of its words."""
        if self.fits(text):
            return text
        return self._longest(sentences(text)) or self._longest(text.split()) or self._beginning(text)

    def _beginning(self, text: str) -> str:
        return str(self._tokenizer.decode(self._tokenizer.encode(text)[: CONTEXT - 2])).strip()

    def _longest(self, parts: list[str]) -> str:
        """As many of the parts as fit together."""
        text = ""
        for part in parts:
            longer = f"{text} {part}".strip()
            if not self.fits(longer):
                return text
            text = longer
        return text
