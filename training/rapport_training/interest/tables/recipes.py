"""Recipes as the rows of a suite change them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from rapport_edge.errors import SettingsError
from rapport_training.interest.content.recipe import (
    ContentRecipe,
    Csft,
    Pretraining,
    content_recipe_path,
    load_content_recipe,
)
from rapport_training.interest.ctr.recipe import CtrRecipe, load_ctr_recipe
from rapport_training.interest.tables.suite import ModelPlan, Step

_T = TypeVar("_T", bound=msgspec.Struct)


def changed(recipe: _T, change: Mapping[str, Any], where: str, load: Callable[[Path], _T] | None = None) -> _T:
    """A recipe with other settings.

    Args:
        recipe: any recipe.
        change: by name; a mapping changes a part of the recipe's own, anything else takes its place.
        where: for the error.
        load: the recipe's loader, which knows what no single field's range can say.

    Raises:
        SettingsError: if there is no such setting, or its value is out of range.
    """
    if not change:
        return recipe
    try:
        found = msgspec.convert(_merged(msgspec.to_builtins(recipe), change), type(recipe))
    except msgspec.ValidationError as error:
        raise SettingsError(f"{where}: change: {error}") from error
    if load is not None:
        _check(found, load, where)
    return found


def _check(recipe: _T, load: Callable[[Path], _T], where: str) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / f"{where}, with its changes"
        path.write_bytes(msgspec.yaml.encode(recipe))
        try:
            load(path)
        except SettingsError as error:
            raise SettingsError(str(error).replace(f"{scratch}/", "")) from error


def ctr_recipe(model: ModelPlan, change: Mapping[str, Any], *, seed: int, content: bool) -> CtrRecipe:
    """A model's recipe in a row: Base and +MIM differ in `mim` alone, unless the row says more.

    Which of MIM's modules the model's recipe names, +MIM has; where it names none, all.

    Args:
        model: of the suite.
        change: the row's.
        seed: of the training.
        content: whether the row has an encoder.
    """
    where = f"model {model.label}"
    recipe = changed(load_ctr_recipe(model.recipe), model.change, where)
    mim = (recipe.mim or True) if content else False
    return changed(msgspec.structs.replace(recipe, mim=mim), {**change, "seed": seed}, where, load_ctr_recipe)


def step_recipe(step: Step, seed: int) -> ContentRecipe:
    """An encoder's recipe in a step; the other stage's settings decide nothing and are left at their defaults."""
    recipe = load_content_recipe(content_recipe_path(step.recipe))
    recipe = changed(recipe, {**step.change, "seed": seed}, f"step {step.stage}", load_content_recipe)
    if step.stage == "pretrain":
        return msgspec.structs.replace(recipe, csft=Csft())
    return msgspec.structs.replace(recipe, pretraining=Pretraining())


def described(recipe: msgspec.Struct) -> Any:
    """All that a recipe says, as plain values."""
    return msgspec.to_builtins(recipe)


def _merged(values: dict[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(values)
    for name, value in change.items():
        before = merged.get(name)
        both = isinstance(before, dict) and isinstance(value, Mapping)
        merged[name] = _merged(before, value) if both else value
    return merged
