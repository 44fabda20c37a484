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

    What follows on one item, such as opened, finished, liked, is one choice, at the time of the first: training's logs
    have one event for a choice. Another one begins when the item is opened anew, or others came in between.

    Args:
        interactions: newest first, as the store gives them. What came before a dislike of the same item is left out.
    """
    disliked: set[str] = set()
    signs = []
    for interaction in interactions:
        if interaction.kind is InteractionKind.DISLIKED:
            disliked.add(interaction.item_id)
        elif _shows_interest(interaction) and interaction.item_id not in disliked:
            signs.append(interaction)
    events: list[Event] = []
    for sign in signs[::-1]:
        if not events or events[-1].id != sign.item_id or sign.kind is InteractionKind.OPENED:
            events.append(Event(id=sign.item_id, time=sign.at))
    return events


def _shows_interest(interaction: InteractionRecord) -> bool:
    if interaction.label is not None:
        return interaction.label >= LEAST_LABEL
    return interaction.kind in INTEREST
