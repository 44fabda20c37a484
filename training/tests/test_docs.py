"""The documents' commands exist: subcommands, options, values and recipes are those of the code."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import rapport_training
from rapport_training.cli import main

TRAINING = Path(__file__).parents[1]
DOCUMENTS = sorted([TRAINING / "README.md", *(TRAINING / "docs").glob("*.md")])
RECIPES = Path(rapport_training.__file__).parent / "recipes"
PROGRAM = "rapport-train"


def blocks(text: str) -> Iterator[str]:
    """Lines of code that call the program, from its name on; a backslash continues a line."""
    code = [line for line in text.splitlines() if line.startswith("    ")]
    for line in "\n".join(code).replace("\\\n", " ").splitlines():
        before, found, rest = line.partition(f"{PROGRAM} ")
        if found and "#" not in before:
            yield rest.partition("  #")[0]


def mentions(text: str) -> Iterator[str]:
    """What running text says of the program, between backticks."""
    yield from re.findall(rf"`{PROGRAM} ([^`]+)`", " ".join(text.split()))


def resolve(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that words name, and its arguments."""
    command: click.Command = main
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        assert words[0] in command.commands, f"no command {words[0]!r} in {command.name}"
        command, words = command.commands[words[0]], words[1:]
    return command, words


def cases(find: object) -> list[object]:
    return [
        pytest.param(line, id=f"{path.name}:{number}")
        for path in DOCUMENTS
        for number, line in enumerate(find(path.read_text(encoding="utf-8")))  # type: ignore[operator]
    ]


@pytest.mark.parametrize("line", cases(blocks))
def test_a_command_line_is_one_that_the_program_takes(line: str) -> None:
    command, arguments = resolve(shlex.split(line))
    assert not isinstance(command, click.Group), f"{line!r} names no command"
    context = command.make_context(command.name, arguments)  # checks options and values, and runs nothing
    named = context.params.get("recipes") or (context.params.get("recipe"),)
    folder = RECIPES / "interest" if line.split(maxsplit=1)[0] == "interest" else RECIPES
    for recipe in filter(None, named):
        assert (folder / f"{recipe}.yaml").is_file()
    if suite := context.params.get("suite"):
        assert (RECIPES / "suites" / f"{suite}.yaml").is_file()


@pytest.mark.parametrize("line", cases(mentions))
def test_a_mentioned_command_has_the_options_that_are_named(line: str) -> None:
    command, arguments = resolve(line.split())
    options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    assert {word for word in arguments if word.startswith("--")} <= {*options, "--help"}


def recipes_of(page: str) -> set[str]:
    """Recipes of content-interest models lie in a folder of their own; their suites bear the name."""

    def of_interest(path: Path) -> bool:
        return path.parent.name == "interest" or path.stem.startswith("interest-")

    return {path.stem for path in RECIPES.rglob("*.yaml") if of_interest(path) == (page == "interest")}


@pytest.mark.parametrize("page", ["demographic", "interest"])
def test_every_recipe_and_suite_is_explained(page: str) -> None:
    text = (TRAINING / "docs" / f"{page}.md").read_text(encoding="utf-8")
    assert {name for name in recipes_of(page) if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text)} == set()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files(path: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
    assert [target for target in targets if not (path.parent / target).exists()] == []


def test_a_wrong_line_would_be_found() -> None:
    for line in ("demographic fitt", "demographic export --run r --faces f", "data genuser --out d --captioner nobody"):
        with pytest.raises((AssertionError, click.UsageError)):
            test_a_command_line_is_one_that_the_program_takes(line)
    assert list(blocks("    torchrun --no-python rapport-train demographic fit \\\n        --run r\n")) == [
        "demographic fit          --run r"
    ]
