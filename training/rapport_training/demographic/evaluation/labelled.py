"""Which faces of a split have labels that can be compared, and why the others are left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rapport_edge.evaluation.per_face import Truth
from rapport_training.data.user_faces import UserFaces
from rapport_training.demographic.evaluation.prompts import LABELS


@dataclass(frozen=True)
class Labelled:
    """The labels of a split in FairFace's names.

    Attributes:
        attributes: of "age", "gender" and "race" those that can be measured.
        rows: the faces that have all of them.
        truth: their labels; empty strings for an attribute that cannot be measured.
        skipped: why an attribute cannot be measured, by attribute.
    """

    attributes: tuple[str, ...]
    rows: NDArray[np.int64]
    truth: Truth
    skipped: dict[str, str]

    @classmethod
    def of(cls, faces: UserFaces) -> Labelled:
        """Looks through the labels of a split."""
        names = {attribute: getattr(faces, attribute) for attribute in LABELS}
        skipped = {
            attribute: reason for attribute in LABELS if (reason := _reason(attribute, names[attribute], faces.name))
        }
        attributes = tuple(attribute for attribute in LABELS if attribute not in skipped)
        usable = np.ones(len(faces), dtype=bool)
        for attribute in attributes:
            usable &= np.isin(names[attribute], LABELS[attribute])
        rows = np.flatnonzero(usable)
        columns = {
            attribute: [str(name) for name in names[attribute][rows]] if attribute in attributes else [""] * len(rows)
            for attribute in LABELS
        }
        races = columns["race"] if "race" in attributes else None
        return cls(attributes, rows, Truth(columns["age"], columns["gender"], races), skipped)

    def among(self, rows: NDArray[np.int64]) -> Labelled:
        """Those of the faces that are also in `rows`."""
        kept = np.flatnonzero(np.isin(self.rows, rows))
        ages, genders = ([names[index] for index in kept] for names in (self.truth.ages, self.truth.genders))
        races = None if self.truth.races is None else [self.truth.races[index] for index in kept]
        return Labelled(self.attributes, self.rows[kept], Truth(ages, genders, races), self.skipped)

    def indices(self, attribute: str) -> NDArray[np.int64]:
        """(n,) number of each face's label among the attribute's."""
        names = {"age": self.truth.ages, "gender": self.truth.genders, "race": self.truth.races or ()}[attribute]
        return np.array([LABELS[attribute].index(name) for name in names], dtype=np.int64)


def _reason(attribute: str, names: NDArray[np.str_], data: str) -> str:
    """Why the attribute cannot be measured; empty if it can."""
    present = sorted({str(name) for name in names} - {""})
    if not present:
        return f"{data} has no labels of {attribute}"
    strange = [name for name in present if name not in LABELS[attribute]]
    if strange:
        listed = ", ".join(strange[:4])
        return f"{data}'s labels of {attribute} are not FairFace's: {listed}"
    return ""
