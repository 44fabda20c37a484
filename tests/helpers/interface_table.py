"""The table of rapport_msgs' interfaces: read from the files, and from a README that shows it.

Prints the table for a README: python tests/helpers/interface_table.py
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "msgs" / "rapport_msgs"
HEADING = "| Interface | Kind | What it is | Fields |"
KINDS = {".msg": "message", ".srv": "service", ".action": "action"}


@dataclass(frozen=True)
class Row:
    """One interface.

    Attributes:
        name: such as "FaceArray".
        kind: message, service or action.
        purpose: the first sentence of the file.
        fields: names without constants; the parts of a service or action are separated by an arrow.
    """

    name: str
    kind: str
    purpose: str
    fields: str

    def markdown(self) -> str:
        """The row as it stands in a README."""
        return f"| `{self.name}` | {self.kind} | {self.purpose} | {self.fields} |"


def rows_from_files(package: Path = PACKAGE) -> list[Row]:
    """Messages, then services, then actions, each in alphabetical order."""
    return [_row(path) for suffix in KINDS for path in sorted(package.rglob(f"*{suffix}"))]


def rows_from_readme(path: Path) -> list[Row]:
    """The rows under the table's heading; empty if the README has no such table."""
    lines = path.read_text(encoding="utf-8").splitlines()
    if HEADING not in lines:
        return []
    rows = []
    for line in lines[lines.index(HEADING) + 2 :]:
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if len(cells) != 4:
            break
        rows.append(Row(cells[0].strip("`"), *cells[1:]))
    return rows


def markdown_table() -> str:
    """The whole table."""
    return "\n".join([HEADING, "|---|---|---|---|", *(row.markdown() for row in rows_from_files())])


def _row(path: Path) -> Row:
    text = path.read_text(encoding="utf-8")
    comment = " ".join(line.lstrip("# ") for line in text.split("\n\n")[0].splitlines() if line.startswith("#"))
    purpose = re.split(r"(?<=[a-z)])(?<!e\.g)[.:](?: |$)", comment, maxsplit=1)[0]
    parts = [", ".join(_fields(part)) for part in re.split(r"^---$", text, flags=re.MULTILINE)]
    return Row(path.stem, KINDS[path.suffix], purpose, " → ".join(parts))


def _fields(part: str) -> list[str]:
    declarations = (line.split("#")[0].strip() for line in part.splitlines())
    return [text.split()[1] for text in declarations if text and "=" not in text]


if __name__ == "__main__":
    print(markdown_table())
