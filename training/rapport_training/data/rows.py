"""What a source hands to the builder: one picture of a person with what is known about it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

#: `SourceRow.problem` of a picture that is not there.
MISSING = "missing"

#: Age, gender and race.
Labels: TypeAlias = tuple[str | None, str | None, str | None]


@dataclass(frozen=True)
class SourceRow:
    """One person of a source.

    Attributes:
        file: name of the picture in the source.
        image: the encoded picture as it came, or None if it could not be read.
        caption: the sentence about this person.
        split: where the row belongs; a picture that came before, in whatever split, is dropped.
        age, gender, race: labels, None where the source has none.
        attributes: a JSON object with everything else, or "".
        problem: why there is no picture: `MISSING`, or the reason in words.
    """

    file: str
    image: bytes | None
    caption: str
    split: str
    age: str | None = None
    gender: str | None = None
    race: str | None = None
    attributes: str = ""
    problem: str = ""

    @cached_property
    def content(self) -> str:
        """SHA-256 of the encoded picture, hexadecimal."""
        return content_hash(self.image or b"")

    @property
    def labels(self) -> Labels:
        """Age, gender and race."""
        return self.age, self.gender, self.race


def content_hash(image: bytes) -> str:
    """SHA-256 of an encoded picture, hexadecimal."""
    return hashlib.sha256(image).hexdigest()
