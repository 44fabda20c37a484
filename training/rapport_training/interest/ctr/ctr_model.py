"""Stage 3's model: a user-behaviour model, MIM's modules and the deep network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rapport_edge.errors import SettingsError
from rapport_training.interest.batch import UNKNOWN, Batch, Field
from rapport_training.interest.ctr.content_interest import (
    ContentInterest,
    content_interest,
    content_interest_of_vectors,
)
from rapport_training.interest.ctr.deep import DeepNetwork, initialise
from rapport_training.interest.ctr.embedding import FieldEmbeddings
from rapport_training.interest.ctr.models.build import build_interest
from rapport_training.interest.ctr.models.interest import Auxiliary, Behaviours
from rapport_training.interest.ctr.positions import Packed, Padded, Positions
from rapport_training.interest.ctr.recipe import CtrRecipe
from rapport_training.interest.ctr.segments import Rows


class CtrModel(nn.Module):
    """Who, which item, what came before -> the logit of a click.

    The deep network sees the user's fields, the target's and h_B of equation (9); the user's index only where the
    recipe says so.

    Attributes:
        recipe: what it computes.
        content_dim: D; None where there is no content.
        item_values: (items, columns) int64, the fields of every item.
        user_values: (users, columns) int64.
    """

    item_values: Tensor
    user_values: Tensor

    def __init__(
        self,
        recipe: CtrRecipe,
        item_fields: Sequence[Field],
        item_values: NDArray,
        user_fields: Sequence[Field],
        user_values: NDArray,
        content_dim: int | None,
    ) -> None:
        """Random weights.

        Args:
            recipe: what to compute.
            item_fields, item_values: of `PreparedLog`.
            user_fields, user_values: likewise.
            content_dim: D; None where there is no content.

        Raises:
            SettingsError: if the recipe has MIM's modules and there is no content.
        """
        super().__init__()
        if recipe.uses_content and content_dim is None:
            raise SettingsError(f"recipe {recipe.name} has MIM's modules, which need content: name a --centre")
        self.recipe, self.content_dim = recipe, content_dim
        self.item_fields, self.user_fields = tuple(item_fields), tuple(user_fields)
        self.register_buffer("item_values", torch.as_tensor(item_values).long())
        self.register_buffer("user_values", torch.as_tensor(user_values).long())
        options = recipe.embedding_dim, recipe.embedding_std, recipe.lazy_rows_above
        self.items = FieldEmbeddings(item_fields, *options)
        self._first_user = 0 if recipe.use_user_id else 1
        self._first_user_column = 0 if recipe.use_user_id else user_fields[0].columns
        self.users = FieldEmbeddings(user_fields[self._first_user :], *options)
        self.interest = build_interest(recipe, self.items.dimension) if recipe.modules.id else None
        self.deep = DeepNetwork(
            self.users.dimension + self.items.dimension + self._interest_dimension(content_dim or 0),
            recipe.hidden,
            recipe.activation,
            recipe.dropout,
            recipe.batch_norm,
        )
        self.apply(initialise)

    def _interest_dimension(self, content_dim: int) -> int:
        """Dimensions of h_B, equation (9)."""
        modules = self.recipe.modules
        return (
            (0 if self.interest is None else int(self.interest.dimension))
            + modules.content * content_dim
            + modules.fusion * self.items.dimension
        )

    def forward(self, batch: Batch) -> Tensor:
        """(B,) logits."""
        return self.logits_and_auxiliary(batch)[0]

    def logits_and_auxiliary(self, batch: Batch) -> tuple[Tensor, Auxiliary | None]:
        """(B,) logits, and the behaviour model's auxiliary task where it has one.

        Raises:
            SettingsError: if the model needs what the batch lacks: content, or times.
        """
        at = Packed(batch.length, batch.history.shape[1])
        history = at.unpad(batch.history)
        target, embedded = self._embed_items(batch.item, history)
        behaviours = Behaviours(
            target=self._some_unknown(target, self.items),
            history=embedded,
            at=at,
            age=None if batch.age is None else at.unpad(batch.age),
            same_category=self._same_category(self.item_values[batch.item], self.item_values[history], at),
        )
        content = None
        if self.recipe.uses_content:
            if batch.content is None:
                raise SettingsError("this model needs the items' content: name the --centre that it was trained with")
            content = content_interest(batch.content, at.unpad(batch.content.history), at)
        users = self.users(self.user_values[batch.user][:, self._first_user_column :])
        return self._score(self._some_unknown(users, self.users), behaviours, content)

    def score_values(
        self,
        user: Tensor,
        item: Tensor,
        history: Tensor,
        mask: Tensor,
        age: Tensor | None = None,
        item_content: Tensor | None = None,
        history_content: Tensor | None = None,
    ) -> Tensor:
        """Logits from field values instead of indexes, with shapes that an exporter can follow; for evaluation.

        Args:
            user: (B or 1, columns of user_fields) integers.
            item: (B, columns of item_fields) integers.
            history: (B or 1, L, columns of item_fields) integers, oldest first, padding last.
            mask: (B or 1, L) bool, False for padding.
            age: (B or 1, L) float32, days.
            item_content: (B, D) float32.
            history_content: (B or 1, L, D) float32.

        Returns:
            (B,) logits.
        """
        at = Padded(mask)
        target = self.items(item)
        category = self._same_category(item, history, at)
        behaviours = Behaviours(target, self.items(history), at, age, category)
        content = None
        if self.recipe.uses_content:
            assert item_content is not None
            assert history_content is not None
            content = content_interest_of_vectors(item_content, history_content, at)
        users = self.users(user[:, self._first_user_column :])
        return self._score(users, behaviours, content)[0]

    def _score(
        self, users: Tensor, behaviours: Behaviours, content: ContentInterest | None
    ) -> tuple[Tensor, Auxiliary | None]:
        """Equation (9) and the deep network."""
        modules, at = self.recipe.modules, behaviours.at
        parts, auxiliary = [users, behaviours.target], None
        if self.interest is not None:
            interest, auxiliary = self.interest(behaviours)
            parts.append(interest)
        if content is not None and modules.content:
            parts.append(self._pooled(content.interest, at))
        if content is not None and modules.fusion:  # equation (8)
            parts.append(self._pooled(at.weighted(content.alpha, behaviours.history), at))
        rows = behaviours.target.shape[0]
        return self.deep(torch.cat([part.expand(rows, -1) for part in parts], dim=-1)), auxiliary

    def _pooled(self, total: Tensor, at: Positions) -> Tensor:
        """A sum over the history, as the recipe wants it."""
        return total if self.recipe.content_pooling == "sum" else total / at.lengths.clamp(min=1)[:, None]

    def _embed_items(self, item: Tensor, history: Tensor) -> tuple[Tensor, Tensor]:
        """(B,) and (N,) indexes -> (B, E) and (N, E); each distinct item is embedded once."""
        together = torch.cat([item, history])
        if len(self.item_values) > len(together):
            distinct, together = torch.unique(together, return_inverse=True)
            table = self.items(self.item_values[distinct])
        else:
            table = self.items(self.item_values)
        return Rows.apply(table, together[: len(item)]), Rows.apply(table, together[len(item) :])

    def _some_unknown(self, vectors: Tensor, fields: FieldEmbeddings) -> Tensor:
        """Calls a share of a training batch's ids unknown: the first field's embedding becomes that of `UNKNOWN`."""
        share, dim = self.recipe.unknown_share, self.recipe.embedding_dim
        if not (self.training and share > 0 and (fields is self.items or self.recipe.use_user_id)):
            return vectors
        chosen = torch.rand(len(vectors), 1, device=vectors.device) < share
        unknown = fields.tables[0](chosen.new_tensor([UNKNOWN], dtype=torch.int64))
        return torch.cat([torch.where(chosen, unknown, vectors[:, :dim]), vectors[:, dim:]], dim=1)

    def _same_category(self, item: Tensor, history: Tensor, at: Packed | Padded) -> Tensor | None:
        """P bool, whether a behaviour has a category of the target's; None for models that do not ask."""
        if not (self.recipe.model == "sim" and self.recipe.search == "hard"):
            return None
        column = self._category_column
        category = history[..., column]
        return (category == at.spread(item[:, column : column + 1])[..., 0]) & (category > UNKNOWN)

    @property
    def _category_column(self) -> int:
        column = 0
        for field in self.item_fields:
            if field.name == "category":
                return column
            column += field.columns
        raise SettingsError("hard search needs items with a category; say search: soft")
