"""The three files of a report: JSON holds its record; Markdown and HTML show it."""

from __future__ import annotations

from pathlib import Path
from typing import Final, TypeVar

import msgspec

from rapport_edge.atomic import write_atomically
from rapport_edge.errors import SettingsError

HTML: Final = "report.html"
MARKDOWN: Final = "report.md"
JSON: Final = "report.json"

_T = TypeVar("_T")


def write_report_files(folder: Path, record: msgspec.Struct, markdown: str, html: str) -> Path:
    """Writes each file whole or not at all, and returns the page.

    Args:
        folder: made where there is none.
        record: for report.json.
        markdown: for report.md.
        html: for report.html.

    Raises:
        SettingsError: if the folder cannot be written.
    """
    files = {
        JSON: msgspec.json.format(msgspec.json.encode(record)) + b"\n",
        MARKDOWN: markdown.encode(),
        HTML: html.encode(),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_atomically(folder / name, content)
    except OSError as error:
        raise SettingsError(f"cannot write the report into {folder}: {error.strerror}") from error
    return folder / HTML


def read_report(folder: Path, kind: type[_T]) -> _T:
    """The record of a report.

    Raises:
        SettingsError: if it is missing or damaged.
    """
    try:
        return msgspec.json.decode((folder / JSON).read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError) as error:
        raise SettingsError(f"no report can be read from {folder}: {error}") from error
