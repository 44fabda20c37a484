"""The user-behaviour model that a recipe names."""

from __future__ import annotations

from torch import nn

from rapport_edge.errors import SettingsError
from rapport_training.interest.ctr.models.average import AveragePooling
from rapport_training.interest.ctr.models.bst import Bst, BstSettings
from rapport_training.interest.ctr.models.dien import Dien
from rapport_training.interest.ctr.models.din import Din
from rapport_training.interest.ctr.models.sim import Sim, SimSettings
from rapport_training.interest.ctr.models.twin import Twin, TwinSettings
from rapport_training.interest.ctr.recipe import CtrRecipe


def build_interest(recipe: CtrRecipe, embedding: int) -> nn.Module:
    """An `InterestModel` with random weights.

    Args:
        recipe: which, and its sizes.
        embedding: E, dimensions of an item's ID embedding.

    Raises:
        SettingsError: if the heads do not share the dimensions evenly.
    """
    if recipe.model == "average":
        return AveragePooling(embedding)
    if recipe.model == "din":
        return Din(embedding, recipe.attention_hidden)
    if recipe.model == "dien":
        return Dien(embedding, auxiliary=recipe.auxiliary_weight > 0)
    size = embedding + (recipe.embedding_dim if recipe.model == "bst" else 0)
    if size % recipe.heads:
        raise SettingsError(f"{recipe.heads} heads cannot share {size} dimensions evenly; set heads or embedding_dim")
    if recipe.model == "bst":
        return Bst(embedding, _bst(recipe))
    if recipe.model == "sim":
        return Sim(embedding, _sim(recipe))
    return Twin(embedding, TwinSettings(top_k=recipe.top_k, heads=recipe.heads, position=recipe.position))


def _bst(recipe: CtrRecipe) -> BstSettings:
    return BstSettings(
        position=recipe.position,
        position_dim=recipe.embedding_dim,
        heads=recipe.heads,
        layers=recipe.layers,
        dropout=recipe.dropout,
        attention_dropout=recipe.attention_dropout,
        pooling=recipe.pooling,
    )


def _sim(recipe: CtrRecipe) -> SimSettings:
    return SimSettings(
        search=recipe.search,
        top_k=recipe.top_k,
        heads=recipe.heads,
        time_dim=recipe.embedding_dim,
        position=recipe.position,
        short_length=recipe.short_length,
    )
