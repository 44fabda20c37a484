"""What one model reached on one test set, and what several seeds of it have in common."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from rapport_training.data.user_faces import SPLITS, UserFaces
from rapport_training.demographic.evaluation.attributes import Attributes
from rapport_training.demographic.evaluation.retrieval import Figures, Setting
from rapport_training.reporting.spread import Spread

FORMAT = 1


class DataSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A data set as it was used.

    Attributes:
        name: such as "FairUser".
        sizes: pairs in train, val and test.
        digests: SHA-256 of each.
        profiles: distinct captions in test.
        landmarks: share of the test faces that the detector found.
    """

    name: str
    sizes: tuple[int, int, int]
    digests: tuple[str, str, str]
    profiles: int
    landmarks: float

    @classmethod
    def of(cls, splits: Sequence[UserFaces]) -> DataSummary:
        """Of the three splits in the order of `SPLITS`."""
        train, val, test = splits
        return cls(
            name=test.name,
            sizes=(len(train), len(val), len(test)),
            digests=(train.digest, val.digest, test.digest),
            profiles=len(np.unique(test.caption)),
            landmarks=float(np.isfinite(test.landmarks).all(axis=(1, 2)).mean()),
        )

    @property
    def line(self) -> str:
        """For headings."""
        sizes = ", ".join(f"{split} {size:,}" for split, size in zip(SPLITS, self.sizes, strict=True))
        return f"{self.name}: {sizes}; {self.profiles:,} profiles in test; test digest {self.digests[2][:12]}"


class Retrieval(msgspec.Struct, frozen=True, kw_only=True):
    """User retrieval under one setting."""

    setting: Setting
    figures: Figures


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One model on one test set.

    Attributes:
        label: of the model: "CLIP".
        variant: "out_of_the_box", or the key of the data set that it was fine-tuned on.
        seed: of the fine-tuning; None if there was none.
        model: SHA-256 of all that decides an embedding.
        data: key of the test set; `summary` says what it was.
        retrieval: by setting.
        by_pool: the same for pools of growing size, for the curve in the report.
        zero_shot, probe: None if they were not measured; `skipped` says why.
        skipped: by what was left out, the reason.
        seconds: wall-clock time of the evaluation.
        seen: pictures of the test set that the model was trained on, which there should be none of.
    """

    format: int = FORMAT
    label: str
    variant: str
    seed: int | None
    model: str
    data: str
    summary: DataSummary
    retrieval: list[Retrieval]
    by_pool: list[Retrieval] = []
    zero_shot: Attributes | None
    probe: Attributes | None
    skipped: dict[str, str]
    seconds: float
    seen: int = 0

    def figures(self, setting: Setting) -> Figures | None:
        """Of one setting; None if it was not asked for."""
        return next((found.figures for found in self.retrieval if found.setting == setting), None)


def runs_of(results: Sequence[Result], label: str, variant: str, data: str) -> list[Result]:
    """All seeds of a model on a test set."""
    return [found for found in results if (found.label, found.variant, found.data) == (label, variant, data)]


def spread_of(results: Sequence[Result], setting: Setting, metric: str) -> Spread | None:
    """Of a retrieval figure over runs that were asked under this setting."""
    figures = [found.figures(setting) for found in results]
    return Spread.of([float(getattr(one, metric)) for one in figures if one is not None])


def cross_matrix(
    results: Sequence[Result], setting: Setting, metric: str = "accuracy"
) -> dict[tuple[str, str], dict[str, Spread | None]]:
    """By (model, trained on) and test set: the mean over seeds; None where there is no run."""
    rows = dict.fromkeys((found.label, found.variant) for found in results)
    tests = list(dict.fromkeys(found.data for found in results))
    return {row: {test: spread_of(runs_of(results, *row, test), setting, metric) for test in tests} for row in rows}
