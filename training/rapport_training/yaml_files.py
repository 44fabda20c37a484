"""Recipes and suites: YAML files, shipped with this package or a user's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar

import msgspec
import yaml

from rapport_edge.errors import SettingsError

RECIPES: Final = Path(__file__).parent / "recipes"

_T = TypeVar("_T")


def read_yaml(path: Path, kind: type[_T], word: str, contradiction: Callable[[_T], str]) -> _T:
    """A file as a msgspec Struct.

    Args:
        path: the file.
        kind: the Struct.
        word: what a person calls such a file, such as "recipe".
        contradiction: says what no single field's range can say, and "" if all is well.

    Raises:
        SettingsError: naming the file and what is wrong.
    """
    try:
        text = path.read_bytes()
        found = msgspec.yaml.decode(text, type=kind)
    except OSError as error:
        raise SettingsError(f"cannot read the {word} {path}: {error.strerror}") from error
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise SettingsError(f"{word} {path}: {error}") from error
    problem = next(_repeated(yaml.compose(text, yaml.SafeLoader), set()), "") or contradiction(found)
    if problem:
        raise SettingsError(f"{word} {path}: {problem}")
    return found


def _repeated(node: yaml.Node | None, seen: set[int]) -> Iterator[str]:
    """Settings that are there twice: YAML's readers take the last one and say nothing.

    What an alias stands for is the same node again, and may hold itself; each is looked at once.
    """
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for one in node.value:
            yield from _repeated(one, seen)
    if not isinstance(node, yaml.MappingNode):
        return
    lines: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if key.value in lines:
            yield f"{key.value} is there twice, in line {lines[key.value]} and in line {line}: leave one out"
        lines[key.value] = line
        yield from _repeated(value, seen)


def shipped_or_own(name: str, folder: Path, word: str) -> Path:
    """The shipped file of a name, or the file itself.

    Raises:
        SettingsError: if it is neither, with the names of the shipped ones.
    """
    shipped = folder / f"{name}.yaml"
    if shipped.is_file():
        return shipped
    if Path(name).is_file():
        return Path(name)
    names = ", ".join(sorted(path.stem for path in folder.glob("*.yaml")))
    raise SettingsError(f"{name!r} is neither a file nor a shipped {word} ({names})")


def suite_path(name: str) -> Path:
    """The file of a shipped suite, or the file itself; see `shipped_or_own`."""
    return shipped_or_own(name, RECIPES / "suites", "suite")
