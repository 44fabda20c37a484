"""Every shipped recipe and suite is one, and says how it is run."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

import rapport_training
from rapport_edge.errors import SettingsError
from rapport_training.cli import main
from rapport_training.demographic.commands import recipe_path
from rapport_training.demographic.evaluation.suite import load_suite
from rapport_training.demographic.recipe import load_recipe
from rapport_training.interest.content.recipe import load_content_recipe
from rapport_training.interest.ctr.recipe import load_ctr_recipe
from rapport_training.interest.tables.suite import load_suite as load_interest_suite

FOLDER = Path(rapport_training.__file__).parent / "recipes"
RECIPES = sorted(FOLDER.glob("*.yaml"))
SUITES = sorted((FOLDER / "suites").glob("table-*.yaml"))
INTEREST = sorted((FOLDER / "interest").glob("*.yaml"))
INTEREST_SUITES = sorted((FOLDER / "suites").glob("interest-*.yaml"))


def check_command(path: Path) -> list[str]:
    """The words of the first comment, whose options exist."""
    words = shlex.split(path.read_text().splitlines()[0].removeprefix("# "))
    assert words[0] == "rapport-train"
    help_text = CliRunner().invoke(main, [*words[1:3], "--help"]).output
    assert all(word in help_text for word in words if word.startswith("--"))
    return words


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_loads_and_begins_with_its_command(path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe.name == path.stem
    words = check_command(path)
    assert f"--recipe {path.stem}" in " ".join(words)
    assert ("--weights" in words) == bool(recipe.weights)
    if words[2] == "fit":
        assert ("--image-tokenizer" in words) == (recipe.masked_image is not None)


@pytest.mark.parametrize("path", SUITES, ids=lambda path: path.stem)
def test_a_suite_loads_begins_with_its_command_and_names_recipes(path: Path) -> None:
    suite = load_suite(path)
    assert f"--suite {path.stem}" in " ".join(check_command(path))
    for model in suite.models:
        recipes = [load_recipe(recipe_path(name)) for name in model.recipes.values()]
        assert len({str(recipe.model) for recipe in recipes}) == 1


def option_in_comment(path: Path, option: str) -> bool:
    return any(line.startswith("#") and option in line for line in path.read_text().splitlines())


@pytest.mark.parametrize("path", INTEREST, ids=lambda path: path.stem)
def test_a_recipe_of_content_interest_loads_and_says_its_command(path: Path) -> None:
    encoder = "pretraining:" in path.read_text() or "vision:" in path.read_text()
    recipe = load_content_recipe(path) if encoder else load_ctr_recipe(path)
    assert recipe.name == path.stem
    assert option_in_comment(path, f"--recipe {path.stem} ")


@pytest.mark.parametrize("path", INTEREST_SUITES, ids=lambda path: path.stem)
def test_a_suite_of_content_interest_loads_and_says_its_command(path: Path) -> None:
    assert load_interest_suite(path).name == path.stem
    assert option_in_comment(path, f"--suite {path.stem} ")


def test_crops_change_with_the_epoch() -> None:
    recipe = load_recipe(recipe_path("demographic-tiny"))
    assert recipe.template(0).size == 64
    assert recipe.final_template.size == 80


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ("epochs: []", "epochs"),
        ("bath_size: 3", "bath_size"),
        ("views: {gender: 1.0}\nage_error: 1.0", "age_error"),
        ("views: {caption: 0.0}", "views"),
        ("stages: [{from_epoch: 2, size: 64}]", "epoch 0"),
        ("stages: [{from_epoch: 0, size: 64}, {from_epoch: 2, size: 80}]\nmasked_image: {}", "masked_image"),
    ],
)
def test_a_wrong_recipe_is_refused_by_field(change: str, word: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    stages = "" if "stages" in change else "stages: [{from_epoch: 0, size: 64}]\n"
    path.write_text(f"name: test\nmodel: ViT-B-16\n{stages}{change}\n")
    with pytest.raises(SettingsError, match=word):
        load_recipe(path)
