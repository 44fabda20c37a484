"""What is finished is kept by its job's key, so that a suite can be stopped and goes on."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from rapport_edge.atomic import write_atomically
from rapport_training.interest.tables.result import FORMAT

_T = TypeVar("_T", bound=msgspec.Struct)


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """The training of an encoder, or the embedding of a catalogue, that has ended.

    Attributes:
        key: of the job.
        seconds: wall-clock time.
        notes: what is worth knowing, by name, such as broken pictures.
    """

    format: int = FORMAT
    key: str
    seconds: float
    notes: dict[str, str] = {}


class ResultsFolder:
    """One JSON file per job.

    Args:
        path: made when the first result is written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, key: str, kind: type[_T]) -> _T | None:
        """A kept result; None if there is none, or it is damaged or of another format."""
        try:
            found = msgspec.json.decode(self._file(key, kind).read_bytes(), type=kind)
        except (OSError, msgspec.MsgspecError):
            return None
        return found if getattr(found, "format", None) == FORMAT else None

    def keep(self, result: _T) -> _T:
        """Writes a result, whole or not at all."""
        self._path.mkdir(parents=True, exist_ok=True)
        path = self._file(getattr(result, "key"), type(result))  # noqa: B009 - every kind of result has one
        write_atomically(path, msgspec.json.format(msgspec.json.encode(result)) + b"\n")
        return result

    def _file(self, key: str, kind: type[msgspec.Struct]) -> Path:
        return self._path / f"{kind.__name__.lower()}-{key}.json"
