"""Embeddings of categorical fields: items with their attributes, users with theirs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rapport_training.interest.batch import PADDING, Field


class FieldEmbeddings(nn.Module):
    """Rows of field values -> one vector each, the fields' embeddings side by side.

    Attributes:
        dimension: fields x embedding_dim.
        columns: values in a row.
    """

    def __init__(self, fields: Sequence[Field], dim: int, std: float, lazy_rows_above: int) -> None:
        """Args are those of the recipe.

        Args:
            fields: in the order of the columns.
            dim: of each field's embedding.
            std: standard deviation of the start.
            lazy_rows_above: larger tables get sparse gradients.
        """
        super().__init__()
        self._widths = [field.columns for field in fields]
        self.columns = sum(self._widths)
        self.dimension = dim * len(fields)
        self.tables = nn.ModuleList(
            nn.Embedding(field.vocabulary, dim, padding_idx=PADDING, sparse=field.vocabulary > lazy_rows_above)
            for field in fields
        )
        for table in self.tables:
            nn.init.normal_(table.weight, std=std)
            with torch.no_grad():
                table.weight[PADDING].zero_()

    def forward(self, values: Tensor) -> Tensor:
        """(..., columns) integers -> (..., dimension)."""
        if not self._widths:
            return values.new_zeros((*values.shape[:-1], 0), dtype=torch.float32)
        parts = values.split(self._widths, dim=-1)
        return torch.cat([_mean(table, part) for table, part in zip(self.tables, parts, strict=True)], dim=-1)


def _mean(table: nn.Module, values: Tensor) -> Tensor:
    """The mean over a field's values; absent ones do not count."""
    vectors = table(values)
    if values.shape[-1] == 1:
        return vectors[..., 0, :]
    present = (values != PADDING).sum(dim=-1, keepdim=True).clamp(min=1)
    return vectors.sum(dim=-2) / present
