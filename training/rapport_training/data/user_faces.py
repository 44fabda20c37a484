"""One split of a data set, as training and evaluation read it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rapport_edge.errors import ImageError
from rapport_edge.evaluation import DataSetError
from rapport_edge.faces import ByteImage, FloatArray
from rapport_edge.images import decode_compressed
from rapport_training.data.memory_map import map_parquet
from rapport_training.data.schema import DESCRIPTION, SPLITS

__all__ = ["SPLITS", "UserFaces"]


class UserFaces:
    """Faces with their captions, labels and landmarks; pictures stay on the disk until they are asked for.

    A pickled object carries its place only and opens the memory map again, so a loader's workers share the pages.

    Attributes:
        name: of the data set, such as "FairUser".
        split: one of `SPLITS`.
        digest: SHA-256 over the rows' content hashes, captions, labels and landmarks, in their order.
        caption: (n,) the data set's own sentence about each person.
        age, gender, race: (n,) labels, "" where the data set has none.
        content: (n,) SHA-256 of the encoded picture, hexadecimal.
        landmarks: (n, 5, 2) pixels; NaN where no face was found.
    """

    def __init__(self, folder: Path, split: str, name: str, table: pa.Table, digest: str) -> None:
        """Takes a mapped table; `UserFaces.open` is the way to get one."""
        self.folder, self.split, self.name, self.digest = folder, split, name, digest
        self._table = table
        self._images = table.column("image")
        self.caption = _strings(table, "caption")
        self.age, self.gender, self.race = (_strings(table, label) for label in ("age", "gender", "race"))
        self.content = _strings(table, "content")
        self.landmarks = _landmarks(table)

    @classmethod
    def open(cls, folder: Path, split: str) -> UserFaces:
        """Opens a split that `rapport-train data` wrote.

        Raises:
            DataSetError: if it is absent, empty or damaged, or lacks a column.
        """
        folder = Path(folder)
        if split not in SPLITS:
            raise DataSetError(f"{split!r} is not a split; there are {', '.join(SPLITS)}")
        name = _name(folder)
        table, digest = map_parquet(folder / f"{split}.parquet")
        return cls(folder, split, name, table, digest)

    def __len__(self) -> int:
        return len(self._images)

    def __reduce__(self) -> tuple[Callable[[Path, str], UserFaces], tuple[Path, str]]:
        return UserFaces.open, (self.folder, self.split)

    def image(self, row: int) -> bytes:
        """The encoded picture as it came."""
        return bytes(self._images[int(row)].as_buffer())

    def picture(self, row: int) -> ByteImage:
        """(h, w, 3) uint8 RGB.

        Raises:
            DataSetError: if the picture is damaged, naming its file and row.
        """
        try:
            return decode_compressed(self.image(row))
        except ImageError as error:
            where = f"{self.folder / self.split}.parquet, row {row} (counted from 0)"
            raise DataSetError(f"{where}, file {self.file(row)}: {error}") from error

    def file(self, row: int) -> str:
        """Name of the picture in the source."""
        return str(self._table.column("file")[int(row)].as_py())

    def attributes(self, row: int) -> dict[str, Any]:
        """The source's further attributes of a person, empty if there are none."""
        text = self._table.column("attributes")[int(row)].as_py()
        return dict(json.loads(text)) if text else {}


def _name(folder: Path) -> str:
    path = folder / DESCRIPTION
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["name"])
    except FileNotFoundError as error:
        raise DataSetError(
            f"there is no data set in {folder}: {DESCRIPTION} is missing; make one with `rapport-train data`"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataSetError(f"{path} does not describe a data set: {error!r}") from error


def _strings(table: pa.Table, column: str) -> NDArray[np.str_]:
    return np.array([value or "" for value in table.column(column).to_pylist()], dtype=np.str_)


def _landmarks(table: pa.Table) -> FloatArray:
    column = table.column("landmarks").combine_chunks()
    points = np.full((len(column), 10), np.nan, dtype=np.float32)
    found = np.asarray(column.is_valid())
    points[found] = column.drop_null().flatten().to_numpy().reshape(-1, 10)
    return points.reshape(-1, 5, 2)
