"""Every shipped recipe is one, and says how it is run."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

import rapport_training
from rapport_edge.errors import SettingsError
from rapport_training.cli import main
from rapport_training.demographic.commands import recipe_path
from rapport_training.demographic.recipe import load_recipe

RECIPES = sorted((Path(rapport_training.__file__).parent / "recipes").glob("*.yaml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_loads_and_begins_with_its_command(path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe.name == path.stem
    command = path.read_text().splitlines()[0].removeprefix("# ").split()
    assert command[0] == "rapport-train"
    options = [word for word in command if word.startswith("--")]
    assert f"--recipe {path.stem}" in " ".join(command)
    help_text = CliRunner().invoke(main, [*command[1:3], "--help"]).output
    assert all(option in help_text for option in options)


def test_crops_change_with_the_epoch() -> None:
    recipe = load_recipe(recipe_path("demographic-tiny"))
    assert recipe.template(0).size == 64
    assert recipe.final_template.size == 80


def test_the_age_error_needs_the_age_captions(tiny_recipe: Path) -> None:
    tiny_recipe.write_text(tiny_recipe.read_text().replace(", age: 1.0}", "}") + "age_error: 1.0\n")
    with pytest.raises(SettingsError, match="age_error"):
        load_recipe(tiny_recipe)
