"""What every captioner does, and what it answers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from rapport_edge.errors import RapportError


class CaptionError(RapportError):
    """Captioning that cannot go on: a wrong key, an endpoint that is not there, a budget that is spent."""


class NoAnswerError(CaptionError):
    """One picture got no answer this time: a time-out, a busy server, a broken reply. Asking again may help."""


@dataclass(frozen=True)
class Caption:
    """A profile.

    Attributes:
        text: one paragraph.
        input_tokens, output_tokens: as the captioner's model counted them; 0 if it counts none.
        cost: in the currency of the prices that were given; 0 if none were.
    """

    text: str
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0


@dataclass(frozen=True)
class Refusal:
    """A captioner that declines to describe a picture; its tokens are paid all the same."""

    reason: str
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0


Answer = Caption | Refusal


class Captioner(Protocol):
    """Writes a profile of the person in a picture; safe to call from several threads at once.

    Attributes:
        identity: kind, model and digest of the instructions: what its captions are kept under, and what the data card
            says about their origin.
        free: True if asking again costs nothing and gives the same answer, so that nothing needs to be kept.
    """

    identity: str
    free: bool

    def caption(self, picture: bytes, attributes: Mapping[str, str]) -> Answer:
        """Describes the person.

        Args:
            picture: the encoded picture, as it came.
            attributes: what is known of the person, such as {"gender": "female", "hair_color": "brown"}.

        Raises:
            NoAnswerError: if there is no answer for this picture now.
            CaptionError: if there will be none for any picture.
        """
        ...

    def close(self) -> None:
        """Lets go of connections; calls in flight end with an error."""
        ...


def identity_of(kind: str, model: str, instructions: str) -> str:
    """Such as "endpoint/gpt-4o/0f3a...", where the digest stands for all that shapes captions besides the model."""
    return f"{kind}/{model}/{hashlib.sha256(instructions.encode()).hexdigest()[:12]}"


def one_paragraph(text: str) -> str:
    """The text with every run of white space made one blank."""
    return " ".join(text.split())
