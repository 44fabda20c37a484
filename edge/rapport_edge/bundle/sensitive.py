"""Which heads run without a policy: age and gender in their known labels; any other may infer what the law protects.

Inferring race, political opinions, trade-union membership, religious or philosophical beliefs, sex life or sexual
orientation from biometric data is prohibited in the EU (AI Act, Regulation 2024/1689, Article 5(1)(g)). No word
list finds all of these, so what is allowed is listed instead. What a head says of itself is believed: its array cannot
be asked.
"""

from __future__ import annotations

from typing import Final

from rapport_edge.bundle.manifest import CategoricalHead, Head, OrdinalHead
from rapport_edge.labels import AGE_BINS, GENDERS

#: Kind, name and label set of the heads that need no policy.
_ALLOWED: Final = (
    (OrdinalHead, "age", frozenset(AGE_BINS)),
    (CategoricalHead, "gender", frozenset(GENDERS)),
)


def is_sensitive(head: Head) -> bool:
    """True unless a head is age or gender, with exactly the labels of `rapport_edge.labels`."""
    return (type(head), head.name, frozenset(head.labels)) not in _ALLOWED
