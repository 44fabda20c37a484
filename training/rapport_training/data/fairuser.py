"""FairUser: FairFace's pictures with a caption made from their labels (demographic user modelling paper, III-A2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rapport_edge.errors import SettingsError
from rapport_edge.labels import RACES
from rapport_training.data.about import About, file_source
from rapport_training.data.builder import build, check_target
from rapport_training.data.fairface import FairFace, FairFaceFile, is_validation, label_files, open_fairface
from rapport_training.data.rows import SourceRow, content_hash
from rapport_training.data.splits import Shares, split_of
from rapport_training.data.summary import Summary
from rapport_training.demographic.captions import FAIRUSER, caption

#: `--splits` for FairFace's own: its validation pictures are the test split.
OWN = "own"
_DEFAULT_SPLITS = "0.8,0.1,0.1"

_TEXT = f"""Faces of FairFace with the sentence

> {FAIRUSER}

after "Demographic User Modeling for Social Robotics with Multimodal Pre-trained Models", Section III-A2. Age, gender
and race are what annotators saw in a photograph; they are not what a person is. The paper speaks of 100,000 pairs;
FairFace publishes 86,744 training and 10,954 validation pictures with labels, so a data set from all of it has at most
97,698."""
_LICENCE = "CC BY 4.0"
_ATTRIBUTION = (
    "FairFace: Kimmo Kärkkäinen and Jungseock Joo, FairFace: Face Attribute Dataset for Balanced Race, Gender, and Age "
    "for Bias Measurement and Mitigation, WACV 2021. https://github.com/joojs/fairface"
)


@dataclass(frozen=True)
class FairUserSettings:
    """What decides the contents of a FairUser data set.

    Attributes:
        faces: folders, label files or Parquet files.
        test: more of them, which become the test split.
        splits: shares such as "0.8,0.1,0.1", or `OWN`; None where there is a `test`, else the paper's 80/10/10.
        held_out: share of the faces that becomes val where the test split is a source of its own.
        limit: use only so many faces of `faces`, and of `test`.
        seed: of the splits.
        races: use only these of `faces`; empty for all. With `test_races`, a model is tested on faces unlike those that
            it was trained on.
        test_races: the same for `test`.
    """

    faces: Sequence[Path]
    test: Sequence[Path] = ()
    splits: str | None = None
    held_out: float = 0.05
    limit: int | None = None
    seed: int = 0
    races: Sequence[str] = ()
    test_races: Sequence[str] = ()


def build_fairuser(
    settings: FairUserSettings, out: Path, *, command: str, processes: int, overwrite: bool = False
) -> Summary:
    """Writes the data set; a picture of the test source is in no other split, whatever `faces` holds.

    Raises:
        SettingsError: if settings contradict one another or `out` is in the way.
        DataSetError: if a source cannot be used or a split stays empty.
    """
    check_target(out, overwrite=overwrite)
    strange = sorted({*settings.races, *settings.test_races} - set(RACES))
    if strange:
        raise SettingsError(f"no race {', '.join(strange)} in FairFace; there are {', '.join(RACES)}")
    faces, test = _files(settings)
    with_test = Shares(1 - settings.held_out, settings.held_out, 0.0)
    shares = with_test if test else Shares.parse(settings.splits or _DEFAULT_SPLITS)
    opened_test, opened = open_fairface(test, settings.limit), open_fairface(faces, settings.limit)
    about = About(
        name="FairUser",
        text=_TEXT,
        command=command,
        licence=_LICENCE,
        attribution=_ATTRIBUTION,
        sources=[file_source(file.path) for file in [*opened, *opened_test]],
        settings={
            "splits": [shares.train, shares.val, shares.test],
            "test": [str(path) for path in test],
            "limit": settings.limit,
            "seed": settings.seed,
            "races": list(settings.races),
            "test_races": list(settings.test_races),
        },
    )
    rows = _rows(opened_test, opened, shares, settings)
    total = sum(map(len, [*opened, *opened_test]))
    return build(about, rows, out, processes=processes, total=total, overwrite=overwrite)


def _files(settings: FairUserSettings) -> tuple[list[Path], list[Path]]:
    """Files for train and val, and files of a test source."""
    faces = [file for path in settings.faces for file in label_files(path)]
    test = [file for path in settings.test for file in label_files(path)]
    if test and settings.splits:
        raise SettingsError("where there is a test source of its own, --splits has nothing to say; use --held-out")
    if settings.splits != OWN:
        return faces, test
    own = [file for file in faces if is_validation(file)]
    if not own or len(own) == len(faces):
        names = ", ".join(file.name for file in faces)
        raise SettingsError(f"FairFace's own splits need a file of its training and one of its validation; got {names}")
    return [file for file in faces if file not in own], own


def _rows(
    test: Sequence[FairFaceFile], faces: Sequence[FairFaceFile], shares: Shares, settings: FairUserSettings
) -> Iterator[SourceRow]:
    """The test source comes first, so that the builder drops its pictures from the others."""
    for file in test:
        yield from (_row(face, "test") for face in _only(file, settings.test_races))
    for file in faces:
        for face in _only(file, settings.races):
            yield _row(face, split_of(content_hash(face.image or b""), shares, settings.seed))


def _only(file: FairFaceFile, races: Sequence[str]) -> Iterator[FairFace]:
    return (face for face in file if not races or face.race in races)


def _row(face: FairFace, split: str) -> SourceRow:
    return SourceRow(
        file=face.file,
        image=face.image,
        caption=caption("fairuser", race=face.race, gender=face.gender, age=face.age),
        split=split,
        age=face.age,
        gender=face.gender,
        race=face.race,
        problem=face.problem,
    )
