"""The words with which a robot may be asked for persons without a policy: those that speak of gender and age.

A text tower that knows every word could be asked for race, religion or orientation: the missing head would be back by
another door. No word list finds all such words, so what is allowed is listed instead, as with heads.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Words that say something about an attribute, by the attribute's name; some speak of both.
ATTRIBUTE_WORDS: Final = {
    "gender": _words(
        "male female man men woman women guy guys lady ladies gentleman gentlemen boy boys girl girls he she him "
        "her his"
    ),
    "age": _words(
        "0 1 2 3 4 5 6 7 8 9 baby babies infant infants toddler toddlers child children kid kids boy boys girl girls "
        "little teen teens teenage teenager teenagers adolescent adolescents adult adults young younger aged old older "
        "elderly senior seniors twenties thirties forties fifties sixties seventies eighties"
    ),
}

#: Words that only hold a sentence together. "middle" is one: "middle eastern" must not count as a word about age.
PLAIN_WORDS: Final = _words(
    "a about ages age an and appears approximately around at be between by face faces find from has in is looking "
    "looks me middle more most of one or people person persons photo picture portrait show some someone than that the "
    "their there they this to up user users who with year years , - . : ; ? !"
)

ALLOWED_WORDS: Final = PLAIN_WORDS.union(*ATTRIBUTE_WORDS.values())

#: CLIP's way to cut a sentence (Radford et al. 2021): runs of letters, single digits, runs of other signs.
_WORD: Final = re.compile(r"'(?:s|t|re|ve|m|ll|d)|[^\W\d_]+|\d|(?:[^\w\s]|_)+")


def split_words(sentence: str) -> list[str]:
    """A sentence in lower case as CLIP's tokenizer cuts it, before it looks for parts of words."""
    return _WORD.findall(sentence.lower())


def attributes_in(words: Iterable[str]) -> tuple[str, ...]:
    """The attributes that words speak of, in alphabetical order."""
    said = set(words)
    return tuple(sorted(name for name, telling in ATTRIBUTE_WORDS.items() if said & telling))
