"""What a click-through-rate model gets: who, which item, what came before, and what the items look like."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from rapport_edge.ranking.vocabulary import FIRST, PADDING, UNKNOWN

#: Indexes mean the same in training as on the robot.
__all__ = ["FIRST", "PADDING", "UNKNOWN", "Batch", "ContentRows", "Field"]


@dataclass(frozen=True)
class Field:
    """A categorical feature.

    Attributes:
        name: such as "item", "category", "gender".
        vocabulary: indexes are 0 (`PADDING`), 1 (`UNKNOWN`) and up to vocabulary - 1.
        columns: how many values one row may have, padded with 0; a film has several genres. Their embeddings are
            averaged.
    """

    name: str
    vocabulary: int
    columns: int = 1


@dataclass(frozen=True)
class ContentRows:
    """Multi-modal embeddings of the items of a batch, each once: only these rows were read from the table.

    Attributes:
        vectors: (U, D) float32; row 0 is zero and stands for padding and for items without content.
        item: (B,) int64, the targets' rows.
        history: (B, L) int64, the histories' rows.
    """

    vectors: Tensor
    item: Tensor
    history: Tensor


@dataclass(frozen=True)
class Batch:
    """B events to be explained, each with the behaviour before it.

    Attributes:
        user: (B,) int64, indexes of users.
        item: (B,) int64, indexes of the target items.
        history: (B, L) int64, indexes of items that the user liked before the event, oldest first, then `PADDING`;
            L is the longest of the batch, at least 1.
        length: (B,) int64, how many of a row's L are no padding; 0 for an empty history.
        label: (B,) float32, 1 for a click, 0 for none.
        age: (B, L) float32, days between the behaviour and the event; 0 in the padding. None where the log has no
            times.
        content: None for a model without content.
    """

    user: Tensor
    item: Tensor
    history: Tensor
    length: Tensor
    label: Tensor
    age: Tensor | None = None
    content: ContentRows | None = None

    def __len__(self) -> int:
        return len(self.item)

    def to(self, device: object) -> Batch:
        """The same on another device."""

        def moved(value: Tensor | None) -> Tensor | None:
            return None if value is None else value.to(device, non_blocking=True)

        content = self.content and ContentRows(*(moved(part) for part in vars(self.content).values()))
        return replace(
            self, **{name: moved(value) for name, value in vars(self).items() if name != "content"}, content=content
        )
