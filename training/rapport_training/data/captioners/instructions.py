"""What a vision-language model is asked, and how its text is read: the same for an endpoint and for a local model."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Final

#: Fifty words are about 65 of CLIP's 77 tokens.
INSTRUCTIONS: Final = (
    "You write user profiles for a data set of face pictures. You are given one picture and, as JSON, visual "
    "attributes of the person in it. Write one paragraph of at most 50 words in plain English: concise yet detailed, "
    "about age, gender, ethnicity, visible features such as hair and eyes, and the emotion that the face shows. Trust "
    "the attributes where picture and attributes disagree. Do not guess a name, an identity or anything that cannot "
    "be seen. Answer with the paragraph only."
)

#: How models that decline begin their answer; a profile never begins like this.
_DECLINES: Final = re.compile(
    r"^\W*(i['’]?m (very )?sorry|i am (very )?sorry|sorry\b|i can(['’]?t|not)\b|i (am|['’]m) (unable|not able)|"
    r"i['’]m (unable|not able)|i won['’]?t\b|unfortunately,? i\b|as an ai\b)",
    re.IGNORECASE,
)
_SENTENCE_END: Final = re.compile(r"[.!?][\"'”’)]*(?=\s|$)")


def request_text(attributes: Mapping[str, str]) -> str:
    """The part of the request that belongs to one person."""
    return f"Visual attributes: {json.dumps(dict(attributes), sort_keys=True, ensure_ascii=False)}"


def declines(text: str) -> bool:
    """True for an answer such as "I'm sorry, but I can't help with that"."""
    return _DECLINES.match(text) is not None


def whole_sentences(text: str) -> str:
    """The text up to the end of its last whole sentence; "" if it has none."""
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    return text[: ends[-1]] if ends else ""


def sentences(text: str) -> list[str]:
    """The sentences of a paragraph; what follows the last full stop is one, too."""
    starts = [0, *(match.end() for match in _SENTENCE_END.finditer(text)), len(text)]
    parts = (text[start:end].strip() for start, end in pairwise(starts))
    return [part for part in parts if part]
