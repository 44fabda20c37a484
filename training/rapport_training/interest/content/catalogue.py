"""What trainings of content encoders see of a log's items."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rapport_training.interest.content.language import LanguageTower, Titles
from rapport_training.interest.content.pictures import BROKEN, NONE, Pictures, catalogue_pictures
from rapport_training.interest.data.log import BehaviourLog


@dataclass(frozen=True)
class Catalogue:
    """A log's items by row.

    Attributes:
        ids, title_texts, categories: (n,) as in the log.
        pictures: see `Pictures`.
        titles: tokens.
        has_title: (n,) bool.
    """

    ids: list[str]
    title_texts: list[str]
    categories: list[str]
    pictures: Pictures
    titles: Titles
    has_title: NDArray[np.bool_]

    @property
    def complete(self) -> NDArray[np.bool_]:
        """(n,) bool: picture and title both can be used; the others are left out of training."""
        return self.pictures.whole & self.has_title

    def left_out(self) -> dict[str, int]:
        """How many items lack what, for run.json; an item may count more than once."""
        return {
            "items": len(self.ids),
            "no picture": int((self.pictures.state == NONE).sum()),
            "broken picture": int((self.pictures.state == BROKEN).sum()),
            "no title": int((~self.has_title).sum()),
            "used": int(self.complete.sum()),
        }


def titles_of(log: BehaviourLog) -> list[str]:
    """Every item's title, "" for none."""
    return [title or "" for title in log.items(["title"]).column("title").to_pylist()]


def read_catalogue(log: BehaviourLog, language: LanguageTower, image_size: int) -> Catalogue:
    """Reads, decodes and tokenises a log's items.

    Raises:
        LogError: if the log is damaged.
        SettingsError: if decoded pictures cannot be kept.
    """
    table = log.items(["id", "title", "category"])
    texts = [title or "" for title in table.column("title").to_pylist()]
    return Catalogue(
        ids=table.column("id").to_pylist(),
        title_texts=texts,
        categories=[category or "" for category in table.column("category").to_pylist()],
        pictures=catalogue_pictures(log, image_size),
        titles=language.tokenise(texts),
        has_title=np.array([bool(text.strip()) for text in texts], dtype=bool),
    )
