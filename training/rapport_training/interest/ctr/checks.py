"""Batches that would poison a model are refused, with the item that is to blame."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rapport_edge.errors import SettingsError
from rapport_training.interest.batch import Batch


def check_batch(batch: Batch, item_ids: Sequence[str]) -> None:
    """Looks for what is no number.

    Args:
        batch: any.
        item_ids: ids by item index, for the sentence.

    Raises:
        SettingsError: if content, an age or a label is NaN or infinite, with the row and its item.
    """
    if not _finite(batch.label) or float(batch.label.min()) < 0 or float(batch.label.max()) > 1:
        wrong = ~((batch.label >= 0) & (batch.label <= 1))
        raise SettingsError(f"the label of {_row(batch, wrong, item_ids)} does not lie in 0 to 1")
    if batch.age is not None and not _finite(batch.age):
        wrong = ~torch.isfinite(batch.age).all(dim=1)
        raise SettingsError(f"an age in the history of {_row(batch, wrong, item_ids)} is no number")
    if batch.content is not None and not _finite(batch.content.vectors):
        raise SettingsError(f"the content of {_bad_item(batch, item_ids)} is no number; embed it again")


def _finite(values: Tensor) -> bool:
    # One pass, and nothing of the values' size is written: a sum is finite only if all are, overflow aside.
    return bool(torch.isfinite(values.sum())) or bool(torch.isfinite(values).all())


def _row(batch: Batch, wrong: Tensor, item_ids: Sequence[str]) -> str:
    row = int(torch.nonzero(wrong)[0])
    return f"row {row} of a batch, item {item_ids[int(batch.item[row])]!r},"


def _bad_item(batch: Batch, item_ids: Sequence[str]) -> str:
    assert batch.content is not None
    bad = ~torch.isfinite(batch.content.vectors).all(dim=1)
    as_target = torch.nonzero(bad[batch.content.item])
    if len(as_target):
        return _row(batch, bad[batch.content.item], item_ids)
    row, column = torch.nonzero(bad[batch.content.history])[0].tolist()
    return f"item {item_ids[int(batch.history[row, column])]!r}, in the history of row {row} of a batch,"
