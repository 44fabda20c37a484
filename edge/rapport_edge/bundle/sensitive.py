"""Which heads infer what the law protects, by their names, their labels and their prompts.

Inferring race, political opinions, trade-union membership, religious or philosophical beliefs, sex life or sexual
orientation from biometric data is prohibited in the EU (AI Act, Regulation 2024/1689, Article 5(1)(g)). A head that
looks like one of these is refused without a policy; a false alarm costs the operator one line in a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from rapport_edge.bundle.manifest import Head

_NAMES: Final = re.compile(
    r"(?<![a-z])race|racial|ethnic|skin|religio|belief|politic|party|trade_?union|sexual|nationality|ancestry|origin",
    re.IGNORECASE,
)
_TERMS: Final = frozenset(
    (
        *("african", "arab", "asian", "caucasian", "hispanic", "indian", "indigenous", "latina", "latino"),
        *("buddhist", "christian", "hindu", "jewish", "muslim"),
        *("bisexual", "gay", "heterosexual", "homosexual", "lesbian"),
        *("conservative", "liberal", "socialist"),
    )
)
_PHRASES: Final = ("middle eastern", "pacific islander", "native american")
#: Words that name a race only beside one another; alone they also name a colour of hair.
_COLOURS: Final = frozenset({"black", "white"})


def is_sensitive(head: Head) -> bool:
    """True if a head infers what Article 5(1)(g) lists.

    Prompts that name a race count only where labels differ in it: the paper's caption states all of race, gender and
    age, so a gender head may average its prompts over all races.
    """
    if _NAMES.search(head.name) or names_protected_trait(head.labels):
        return True
    named = {frozenset(_terms(head.prompts.get(label, ()))) for label in head.labels}
    return len(named) > 1


def names_protected_trait(labels: Iterable[str]) -> bool:
    """True if labels name races, beliefs or orientations, or both "black" and "white"."""
    terms = _terms(labels)
    return bool(terms - _COLOURS) or terms >= _COLOURS


def _terms(texts: Iterable[str]) -> set[str]:
    folded = " | ".join(texts).casefold().replace("_", " ")
    words = set(re.findall(r"[a-z]+", folded))
    return (words & (_TERMS | _COLOURS)) | {phrase for phrase in _PHRASES if phrase in folded}
