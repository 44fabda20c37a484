"""Faces with visual attributes, from a folder of pictures with a JSON file each or from labelled Parquet files."""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from rapport_edge.errors import ImageError
from rapport_edge.evaluation import DataSetError, LabelledFaces
from rapport_edge.images import decode_compressed
from rapport_edge.labels import LabelError
from rapport_training.data.about import file_source
from rapport_training.data.genuser_attributes import labels_of, visual_attributes
from rapport_training.data.rows import content_hash

_PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


@dataclass(frozen=True)
class SourceFace:
    """A face that can be used.

    Attributes:
        file: name in the source.
        content: SHA-256 of the encoded picture, hexadecimal.
        attributes: visual attributes.
        labels: age, gender and race, "" for none.
        read: gives the encoded picture.
    """

    file: str
    content: str
    attributes: dict[str, str]
    labels: tuple[str, str, str]
    read: Callable[[], bytes]


@dataclass
class Source:
    """What was found.

    Attributes:
        origin: files or folders that it comes from, as `About.sources` wants them.
        faces: with different pictures.
        left_out: files that cannot be used, with the reason.
    """

    origin: list[dict[str, Any]] = field(default_factory=list)
    faces: list[SourceFace] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class _Candidate:
    file: str
    attributes: dict[str, str]
    read: Callable[[], bytes]


def read_folder(folder: Path) -> Source:
    """Pictures anywhere in a folder, each with the JSON file of the same name beside it or in another folder of it.

    Raises:
        DataSetError: if there is no such folder, or no usable face in it.
    """
    if not folder.is_dir():
        raise DataSetError(f"there is no folder {folder}")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    pictures = [path for path in files if path.suffix.casefold() in _PICTURES]
    documents = [path for path in files if path.suffix.casefold() == ".json"]
    source, candidates = Source(), []
    for picture, document in _pairs(pictures, documents, folder, source):
        file = picture.relative_to(folder).as_posix()
        try:
            candidates.append(_Candidate(file, _read_attributes(document), picture.read_bytes))
        except (LabelError, ValueError, OSError) as error:
            source.left_out.append((document.relative_to(folder).as_posix(), _reason(error)))
    _examine_all(candidates, source, str(folder))
    source.origin.append({"path": str(folder), "sha256": _digest(source.faces), "pictures": len(pictures)})
    return source


def read_parquet(paths: Sequence[Path]) -> Source:
    """Faces of labelled Parquet files, whose attributes are their labels. The pictures stay in memory.

    Raises:
        DataSetError: as `LabelledFaces` does, or if no face is usable.
    """
    source, candidates = Source(), []
    for path in paths:
        labelled = LabelledFaces(path)
        source.origin.append(file_source(path))
        races = labelled.races or [""] * len(labelled)
        images = (image for batch in labelled.images() for image in batch)
        for row, (image, *named) in enumerate(zip(images, labelled.ages, labelled.genders, races, strict=True)):
            file = f"{path.name}, row {row}"
            if image is None:
                source.left_out.append((file, "no picture"))
                continue
            attributes = dict(zip(("age", "gender", "ethnicity"), named, strict=True))
            known = {name: value for name, value in attributes.items() if value}
            candidates.append(_Candidate(file, known, partial(bytes, image)))
    _examine_all(candidates, source, ", ".join(path.name for path in paths))
    return source


def _pairs(
    pictures: Iterable[Path], documents: Iterable[Path], folder: Path, source: Source
) -> list[tuple[Path, Path]]:
    """A picture's document lies beside it, or is the only one of its name; what stays alone is noted."""
    by_name: dict[str, list[Path]] = defaultdict(list)
    for document in documents:
        by_name[document.stem].append(document)
    pairs, taken = [], set()
    for picture in pictures:
        same = by_name.get(picture.stem, [])
        beside = [document for document in same if document.parent == picture.parent]
        found = beside or (same if len(same) == 1 else [])
        if found and found[0] not in taken:
            pairs.append((picture, found[0]))
            taken.add(found[0])
        else:
            reason = "no JSON file of its name" if not same else "no JSON file that is clearly its own"
            source.left_out.append((picture.relative_to(folder).as_posix(), reason))
    alone = {document for same in by_name.values() for document in same} - taken
    source.left_out += [(path.relative_to(folder).as_posix(), "no picture of its name") for path in sorted(alone)]
    return pairs


def _read_attributes(document: Path) -> dict[str, str]:
    return visual_attributes(json.loads(document.read_bytes()))


def _reason(error: Exception) -> str:
    return f"not JSON: {error}" if isinstance(error, ValueError) else str(error)


def _examine_all(candidates: Sequence[_Candidate], source: Source, where: str) -> None:
    """Reads and decodes every picture once: a caption of a picture that no training can read would be wasted."""
    first: dict[str, str] = {}
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        found = pool.map(_examine, candidates)
        for candidate, face in zip(candidates, tqdm(found, total=len(candidates), unit="picture"), strict=True):
            if isinstance(face, str):
                source.left_out.append((candidate.file, face))
            elif face.content in first:
                source.left_out.append((face.file, f"the same picture as {first[face.content]}"))
            else:
                first[face.content] = face.file
                source.faces.append(face)
    if not source.faces:
        example = "; ".join(f"{file}: {reason}" for file, reason in source.left_out[:3])
        raise DataSetError(f"no usable face in {where}" + (f" ({example})" if example else ""))


def _examine(candidate: _Candidate) -> SourceFace | str:
    """The face, or why it cannot be used."""
    try:
        picture = candidate.read()
        decode_compressed(picture)
        labels = labels_of(candidate.attributes)
    except (ImageError, LabelError, OSError) as error:
        return str(error)
    return SourceFace(candidate.file, content_hash(picture), candidate.attributes, labels, candidate.read)


def _digest(faces: Sequence[SourceFace]) -> str:
    """SHA-256 over the usable pictures and their attributes."""
    known = sorted((face.content, sorted(face.attributes.items())) for face in faces)
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()
