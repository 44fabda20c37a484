"""Pictures of items, from a zip file or a folder."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Final

from rapport_training.interest.data.errors import LogError
from rapport_training.interest.data.sources.text_files import reading

_SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".webp")


class Pictures:
    """Pictures by an item's id: ID.jpg, ID.png or the like.

    Args:
        place: a zip file or a folder; None: no item has a picture.

    Raises:
        LogError: if it is absent or no zip file.
    """

    def __init__(self, place: Path | None) -> None:
        self._zip: zipfile.ZipFile | None = None
        self._by_id: dict[str, str | Path] = {}
        if place is None:
            return
        if place.is_dir():
            self._by_id = {file.stem: file for file in sorted(place.iterdir()) if file.suffix.lower() in _SUFFIXES}
            return
        try:
            self._zip = zipfile.ZipFile(place)
        except (OSError, zipfile.BadZipFile) as error:
            raise LogError(f"{place} is neither a folder nor a zip file of pictures: {error}") from error
        names = [Path(name) for name in self._zip.namelist()]
        self._by_id = {name.stem: str(name) for name in names if name.suffix.lower() in _SUFFIXES}

    def __len__(self) -> int:
        return len(self._by_id)

    def get(self, item: str) -> bytes | None:
        """The encoded picture of an item, None where there is none."""
        name = self._by_id.get(item)
        if name is None:
            return None
        if self._zip is None:
            with reading(name):
                return Path(name).read_bytes()
        with reading(f"{self._zip.filename}: {name}"):
            return self._zip.read(str(name))
