"""What runs without a policy: age and gender in their known labels, asked for in words that speak of nothing else.

Any other head, and a text tower with other words, may infer what the law protects.

Inferring race, political opinions, trade-union membership, religious or philosophical beliefs, sex life or sexual
orientation from biometric data is prohibited in the EU (AI Act, Regulation 2024/1689, Article 5(1)(g)). No word
list finds all of these, so what is allowed is listed instead. What a head says of itself is believed: its array cannot
be asked.
"""

from __future__ import annotations

from typing import Final

from rapport_edge.bundle.manifest import CategoricalHead, ClosedText, Head, OrdinalHead, TextTower
from rapport_edge.bundle.vocabulary import ALLOWED_WORDS
from rapport_edge.labels import AGE_BINS, GENDERS

#: What a policy calls a text tower that knows more words than `rapport_edge.bundle.vocabulary` lists.
OPEN_TEXT: Final = "open-text"

#: Kind, name and label set of the heads that need no policy.
_ALLOWED: Final = (
    (OrdinalHead, "age", frozenset(AGE_BINS)),
    (CategoricalHead, "gender", frozenset(GENDERS)),
)


def is_sensitive(head: Head) -> bool:
    """True unless a head is age or gender, with exactly the labels of `rapport_edge.labels`."""
    return (type(head), head.name, frozenset(head.labels)) not in _ALLOWED


def is_open(text: TextTower) -> bool:
    """True unless a text tower knows nothing but words about gender and age."""
    return not isinstance(text, ClosedText) or not ALLOWED_WORDS.issuperset(text.words)
