"""What a data set says about itself, and where its contents came from."""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource


@dataclass(frozen=True)
class About:
    """What a data set says about itself.

    Attributes:
        name: such as "FairUser".
        text: a paragraph for the card: what it is and after which publication.
        command: the command line that makes it again.
        licence: of the pictures and labels.
        attribution: the text that the licence asks for.
        sources: each with its path and SHA-256.
        settings: whatever else decided what is in it.
        sections: further parts of the card, heading and Markdown.
    """

    name: str
    text: str
    command: str
    licence: str
    attribution: str
    sources: list[dict[str, Any]]
    settings: dict[str, Any] = field(default_factory=dict)
    sections: list[tuple[str, str]] = field(default_factory=list)


def file_source(path: Path) -> dict[str, Any]:
    """Path and SHA-256 of a file, as an entry of `About.sources`."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"path": str(path), "sha256": digest}


def command_line(context: click.Context) -> str:
    """The command line that runs a command again: what was given, without what has its default."""
    words = context.command_path.split()
    for parameter in context.command.params:
        if context.get_parameter_source(parameter.name or "") == ParameterSource.DEFAULT:
            continue
        value = context.params[parameter.name or ""]
        if isinstance(parameter, click.Option) and parameter.is_flag:
            words += parameter.opts[:1] if value else parameter.secondary_opts[:1]
            continue
        for item in value if parameter.multiple else [value]:
            words += [parameter.opts[0], str(item)]
    return shlex.join(words)
