"""Consent: what a person has agreed to, and which changes are possible.

Only "granted" lets anything about a person reach the disk. A no is accepted in every state. A person who said no is not
profiled any more, not even in memory, until they say yes themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from rapport_edge.store.errors import ConsentError


class Consent(Enum):
    """A person's decision (GDPR, Articles 4(11), 7 and 9(2)(a))."""

    UNKNOWN = "unknown"
    NOTIFIED = "notified"
    GRANTED = "granted"
    DENIED = "denied"
    WITHDRAWN = "withdrawn"


#: Decisions after which nothing about a person may be kept.
REFUSALS = frozenset({Consent.DENIED, Consent.WITHDRAWN})

#: From each state, the states that may follow. Nobody becomes unknown again, and an answer is not undone by a notice.
TRANSITIONS: Mapping[Consent, frozenset[Consent]] = {
    Consent.UNKNOWN: frozenset({Consent.NOTIFIED, Consent.GRANTED}) | REFUSALS,
    Consent.NOTIFIED: frozenset({Consent.GRANTED}) | REFUSALS,
    Consent.GRANTED: REFUSALS,
    Consent.DENIED: frozenset({Consent.GRANTED, Consent.WITHDRAWN}),
    Consent.WITHDRAWN: frozenset({Consent.GRANTED, Consent.DENIED}),
}

#: From weak to strong, for two profiles that turn out to be one person: an answer beats no answer, a no beats a yes.
STRENGTH = (Consent.UNKNOWN, Consent.NOTIFIED, Consent.GRANTED, Consent.DENIED, Consent.WITHDRAWN)


def check_transition(user_id: str, old: Consent, new: Consent) -> None:
    """Refuse an impossible change.

    Raises:
        ConsentError: when `new` cannot follow `old`.
    """
    if new not in TRANSITIONS[old]:
        possible = ", ".join(sorted(state.value for state in TRANSITIONS[old]))
        raise ConsentError(
            f"the consent of {user_id} cannot go from {old.value} to {new.value}; it can become {possible}"
        )


def stronger(first: Consent, second: Consent) -> Consent:
    """The decision that counts when two profiles are one person."""
    return max(first, second, key=STRENGTH.index)
