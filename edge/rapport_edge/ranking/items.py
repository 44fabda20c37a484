"""What is ranked and what came before: content items, events, and the order that comes out."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from rapport_edge.errors import RapportError

ItemId = Annotated[str, Meta(min_length=1)]


class RankingError(RapportError):
    """A history, candidates or a table of embeddings that a ranker cannot take."""


class Item(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A content item.

    Attributes:
        id: unique in its catalogue.
        title: one line; may be empty.
        fields: values by item field, such as {"category": ("Comedy",)}; what is left out comes from the catalogue.
        content: (d,) the item's embedding by the bundle's content encoder; None: looked up by the id.
    """

    id: ItemId
    title: str = ""
    fields: dict[str, tuple[str, ...]] = {}
    content: tuple[float, ...] | None = None


class Event(Item, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An item that a person liked, and when: seconds since 1970, None where only the order is known."""

    time: float | None = None


class Nearest(msgspec.Struct, frozen=True, kw_only=True):
    """The item of the history whose content is most like a candidate's; `cosine` is -1 to 1."""

    id: str
    title: str
    cosine: float


class RankedItem(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate at its place.

    Attributes:
        rank: 1 is the best.
        score: predicted interest, 0 to 1; comparable within one ranking only.
        known: False for an item that training did not have, which only its fields and its content speak for.
        nearest: None without content, or without a history that has some.
        reason: why, in a few words; empty when there is no history.
    """

    rank: int
    id: str
    title: str
    score: float
    known: bool
    nearest: Nearest | None = None
    reason: str = ""
