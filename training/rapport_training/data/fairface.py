"""FairFace (Karkkainen and Joo 2021) as it is published: label files beside folders of pictures, or Parquet files."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pyarrow.parquet as pq

from rapport_edge.evaluation import DataSetError, LabelledFaces
from rapport_training.data.label_csv import find_picture, read_labels
from rapport_training.data.rows import MISSING

_VAL = re.compile(r"(^|[-_])val(idation)?([-_.]|$)")


@dataclass(frozen=True, slots=True)
class FairFace:
    """One person of FairFace.

    Attributes:
        file: name of the picture.
        image: the encoded picture, or None with the reason in `problem`.
        age, gender, race: names from `rapport_edge.labels`.
        problem: "" if there is a picture.
    """

    file: str
    image: bytes | None
    age: str
    gender: str
    race: str
    problem: str = ""


class FairFaceFile(ABC):
    """Labels of one file, read and checked at once; pictures are read when they are asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __iter__(self) -> Iterator[FairFace]: ...


class LabelFile(FairFaceFile):
    """A CSV file of labels, with the pictures in folders beside it."""

    def __init__(self, path: Path, limit: int | None = None) -> None:
        super().__init__(path)
        self._labels = read_labels(path, limit)

    def __len__(self) -> int:
        return len(self._labels)

    def __iter__(self) -> Iterator[FairFace]:
        for row in self._labels:
            image, problem = _read(find_picture(self.path.parent, row.file))
            yield FairFace(row.file, image, row.age, row.gender, row.race, problem)


class ParquetFile(FairFaceFile):
    """A Parquet file with the columns image, age, gender and race, and file if there is one."""

    def __init__(self, path: Path, limit: int | None = None) -> None:
        super().__init__(path)
        self._faces = LabelledFaces(path, limit)
        if self._faces.races is None:
            raise DataSetError(f"{path} has no column race, which the captions of FairUser need")

    def __len__(self) -> int:
        return len(self._faces)

    def __iter__(self) -> Iterator[FairFace]:
        faces = self._faces
        images = chain.from_iterable(faces.images())
        rows = zip(self._files(), images, faces.ages, faces.genders, faces.races or [], strict=True)
        for file, image, age, gender, race in rows:
            yield FairFace(file, image or None, age, gender, race, "" if image else MISSING)

    def _files(self) -> list[str]:
        if "file" not in pq.read_schema(self.path).names:
            return [f"{self.path.name}, row {row}" for row in range(len(self))]
        names = pq.read_table(self.path, columns=["file"]).column("file").to_pylist()
        return [str(name) for name in names[: len(self)]]


def label_files(path: Path) -> list[Path]:
    """The files that a source names: itself, or a folder's label files, or else its Parquet files.

    Raises:
        DataSetError: if there is nothing of the kind.
    """
    if path.is_file():
        return [path]
    if not path.exists():
        raise DataSetError(f"there is no file or folder {path}")
    found = sorted(path.glob("fairface_label_*.csv")) or sorted(path.glob("*.parquet"))
    if not found:
        raise DataSetError(
            f"{path} holds neither label files (fairface_label_train.csv, fairface_label_val.csv) nor Parquet files"
        )
    return found


def open_fairface(paths: Sequence[Path], limit: int | None = None) -> list[FairFaceFile]:
    """Opens label and Parquet files in their order.

    Args:
        paths: as `label_files` gives them.
        limit: use only the first faces of all files together.

    Raises:
        DataSetError: as `read_labels` and `rapport_edge.evaluation.LabelledFaces`.
    """
    opened: list[FairFaceFile] = []
    left = limit
    for path in paths:
        if left == 0:
            break
        opened.append((LabelFile if path.suffix.casefold() == ".csv" else ParquetFile)(path, left))
        left = None if left is None else left - len(opened[-1])
    return opened


def is_validation(path: Path) -> bool:
    """Whether a file holds FairFace's own validation split, by its name."""
    return bool(_VAL.search(path.stem))


def _read(path: Path | None) -> tuple[bytes | None, str]:
    if path is None:
        return None, MISSING
    try:
        return path.read_bytes(), ""
    except OSError as error:
        return None, error.strerror or str(error)
