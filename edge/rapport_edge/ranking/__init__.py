"""What to suggest next: a person's history and candidates to an order with scores and reasons."""

from rapport_edge.ranking.content import BundledContent, ContentSource
from rapport_edge.ranking.factory import create_ranker
from rapport_edge.ranking.items import Event, Item, Nearest, RankedItem, RankingError
from rapport_edge.ranking.ranker import InterestRanker

__all__ = [
    "BundledContent",
    "ContentSource",
    "Event",
    "InterestRanker",
    "Item",
    "Nearest",
    "RankedItem",
    "RankingError",
    "create_ranker",
]
