"""FairFace's label files as they travel: damaged by spreadsheets, with prefixes of other folders and blank lines."""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rapport_edge.evaluation import DataSetError
from rapport_edge.labels import LabelError, is_damaged_age, parse_age, parse_gender, parse_race

_log = logging.getLogger(__name__)
_COLUMNS = ("file", "age", "gender", "race")
_PARSERS: dict[str, Callable[[str], str]] = {"age": parse_age, "gender": parse_gender, "race": parse_race}


@dataclass(frozen=True, slots=True)
class LabelledFile:
    """A row of a label file; labels are names from `rapport_edge.labels`, `file` is as it stands there."""

    file: str
    age: str
    gender: str
    race: str


def read_labels(path: Path, limit: int | None = None) -> list[LabelledFile]:
    """Reads a label file and repairs ages that a spreadsheet took for dates, with a warning.

    Args:
        path: a CSV file with the columns file, age, gender and race; others are ignored.
        limit: read only the first rows.

    Raises:
        DataSetError: if it is absent, empty, no text, lacks a column, or has a label that nobody knows, with its line.
    """
    rows: list[LabelledFile] = []
    damaged = 0
    for line, cells in _lines(path):
        if len(rows) == limit:
            break
        rows.append(LabelledFile(cells["file"], *(_parsed(path, line, name, cells[name]) for name in _PARSERS)))
        damaged += is_damaged_age(cells["age"])
    if not rows:
        raise DataSetError(f"{path} has no rows")
    if damaged:
        _log.warning(
            "%s: %d ages were turned into dates by a spreadsheet (such as 03-Sep for 3-9); they are read as meant",
            path,
            damaged,
        )
    return rows


def find_picture(root: Path, file: str) -> Path | None:
    """The picture that a label file in `root` means, or None.

    Label files carry the folders of the machine that wrote them: `fairface/val/1.jpg`, `./val/1.jpg`, or backslashes.
    Leading folders are dropped until a picture is found, but never the last one: train/1.jpg and val/1.jpg are two
    persons.
    """
    parts = [part for part in PurePosixPath(file.replace("\\", "/")).parts if part not in ("/", ".")]
    if not parts or ".." in parts:
        return None
    candidates = (root.joinpath(*parts[start:]) for start in range(max(1, len(parts) - 1)))
    return next((path for path in candidates if path.is_file()), None)


def _lines(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line numbers, counted from 1, and the cells of the rows that are not blank."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:  # a spreadsheet writes a byte order mark
            first = file.readline()
            file.seek(0)
            reader = csv.reader(file, delimiter=";" if first.count(";") > first.count(",") else ",")
            header = [name.strip().casefold() for name in next(reader, [])]
            _check_header(path, header)
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    yield reader.line_num, _cells(path, reader.line_num, header, cells)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataSetError(f"{path} is not a label file that can be read: {error}") from error


def _check_header(path: Path, header: list[str]) -> None:
    missing = [name for name in _COLUMNS if name not in header]
    if missing:
        raise DataSetError(f"{path} has no column {', '.join(missing)}; its first line names {', '.join(header)}")
    repeated = [name for name in _COLUMNS if header.count(name) > 1]
    if repeated:
        raise DataSetError(f"{path} has more than one column {', '.join(repeated)}")


def _cells(path: Path, line: int, header: list[str], cells: list[str]) -> dict[str, str]:
    found = dict(zip(header, (cell.strip() for cell in cells), strict=False))
    missing = [name for name in _COLUMNS if not found.get(name)]
    if missing:
        raise DataSetError(f"{path}, line {line}: {', '.join(missing)} is empty")
    return found


def _parsed(path: Path, line: int, name: str, text: str) -> str:
    try:
        return _PARSERS[name](text)
    except LabelError as error:
        raise DataSetError(f"{path}, line {line}: {error}") from error
