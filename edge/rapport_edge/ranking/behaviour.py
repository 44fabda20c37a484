"""A person's stored behaviour as a history: what they chose, finished or liked, and did not come to dislike."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rapport_edge.ranking.items import Event
from rapport_edge.store.records import InteractionKind, InteractionRecord

#: What shows interest. An item that was only shown, or was skipped, says nothing that training took for interest.
INTEREST: Final = frozenset({InteractionKind.OPENED, InteractionKind.FINISHED, InteractionKind.LIKED})
#: An event with a label counts from here on, whatever its kind.
LEAST_LABEL: Final = 0.5


def history_of(interactions: Iterable[InteractionRecord]) -> list[Event]:
    """The events that show interest, oldest first.

    Args:
        interactions: newest first, as the store gives them. What came before a dislike of the same item is left out.
    """
    disliked: set[str] = set()
    events = []
    for interaction in interactions:
        if interaction.kind is InteractionKind.DISLIKED:
            disliked.add(interaction.item_id)
        elif _shows_interest(interaction) and interaction.item_id not in disliked:
            events.append(Event(id=interaction.item_id, time=interaction.at))
    return events[::-1]


def _shows_interest(interaction: InteractionRecord) -> bool:
    if interaction.label is not None:
        return interaction.label >= LEAST_LABEL
    return interaction.kind in INTEREST
