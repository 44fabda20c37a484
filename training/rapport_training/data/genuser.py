"""The GenUser data set: faces with one-paragraph profiles written by a captioner (paper, Section III-A1)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rapport_training.data.builder import build, check_target
from rapport_training.data.captioners.asking import Question
from rapport_training.data.captioners.base import Captioner
from rapport_training.data.genuser_about import about
from rapport_training.data.genuser_profiles import Asking, Profiles, write_profiles
from rapport_training.data.genuser_source import Source, SourceFace
from rapport_training.data.genuser_splits import balanced_splits, parse_sizes
from rapport_training.data.rows import SourceRow
from rapport_training.data.summary import Summary


@dataclass(frozen=True)
class Chosen:
    """A face and its split."""

    face: SourceFace
    split: str


@dataclass(frozen=True)
class Target:
    """Where the data set goes, and what the builder needs to know."""

    out: Path
    command: str
    processes: int
    overwrite: bool


def build_genuser(source: Source, captioner: Captioner, asking: Asking, splits: str, target: Target) -> Summary:
    """Chooses faces, has their profiles written and writes the data set.

    Args:
        source: usable faces.
        captioner: who writes.
        asking: how it is asked.
        splits: as `parse_sizes` takes them.
        target: where it goes.

    Raises:
        RapportError: if the splits do not suit the number of faces, the captioner stops, or the folder is in the way or
            cannot be written; every profile written so far is in the ledger.
    """
    check_target(target.out, overwrite=target.overwrite)
    chosen = choose(source, splits)
    questions = [Question(one.face.file, one.face.content, one.face.attributes, one.face.read) for one in chosen]
    profiles = write_profiles(captioner, questions, asking)
    return build(
        about(source, profiles, captioner.identity, splits, target.command),
        rows(chosen, profiles),
        target.out,
        processes=target.processes,
        total=len(profiles.captions),
        overwrite=target.overwrite,
    )


def choose(source: Source, splits: str) -> list[Chosen]:
    """Takes as many faces as the splits need, balanced over age, gender and ethnicity.

    They are chosen before any profile is written: faces that no split needs cost nothing, and whoever writes, the
    splits hold the same faces.

    Args:
        source: usable faces.
        splits: as `parse_sizes` takes them.

    Raises:
        SettingsError: if the splits do not suit the number of faces.
    """
    sizes = parse_sizes(splits, len(source.faces))
    names = balanced_splits([face.content for face in source.faces], [face.labels for face in source.faces], sizes)
    return [Chosen(face, name) for face, name in zip(source.faces, names, strict=True) if name]


def rows(chosen: Sequence[Chosen], profiles: Profiles) -> Iterator[SourceRow]:
    """What the builder takes: every chosen face that has a profile."""
    for one in chosen:
        caption = profiles.captions.get(one.face.content)
        if caption is None:
            continue
        age, gender, race = (label or None for label in one.face.labels)
        known = json.dumps(one.face.attributes, ensure_ascii=False)
        yield SourceRow(one.face.file, one.face.read(), caption, one.split, age, gender, race, known)
