"""What is in a data set and what was left out, counted while it is written."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from rapport_edge.labels import AGE_BINS, GENDERS, RACES
from rapport_training.data.rows import MISSING, SourceRow
from rapport_training.data.schema import LABELS, SPLITS

_log = logging.getLogger(__name__)
_ORDER = {"age": AGE_BINS, "gender": GENDERS, "race": RACES}


@dataclass
class SplitSummary:
    """One split.

    Attributes:
        rows: number of pictures.
        not_detected: pictures in which no face was found.
        labels: how often each label occurs, by the name of the label's column; "" counts rows without one.
        captions: how often each distinct caption occurs.
    """

    rows: int = 0
    not_detected: int = 0
    labels: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in LABELS})
    captions: Counter[str] = field(default_factory=Counter)

    def add(self, row: SourceRow, *, detected: bool) -> None:
        """Counts a row that was written."""
        self.rows += 1
        self.not_detected += not detected
        self.captions[row.caption] += 1
        for name, label in zip(LABELS, row.labels, strict=True):
            self.labels[name][label or ""] += 1


@dataclass
class Summary:
    """A whole data set.

    Attributes:
        splits: by name.
        duplicates: pictures dropped because the same bytes had come before.
        duplicates_across_splits: those of them that would have been in two splits.
        duplicates_relabelled: those of them whose labels differ from the first's.
        missing: files that are not there.
        unreadable: files that are no pictures, with the reason.
    """

    splits: dict[str, SplitSummary] = field(default_factory=lambda: {name: SplitSummary() for name in SPLITS})
    duplicates: int = 0
    duplicates_across_splits: int = 0
    duplicates_relabelled: int = 0
    missing: list[str] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)

    def leave_out(self, file: str, problem: str) -> None:
        """Notes a file without a usable picture."""
        if problem == MISSING:
            self.missing.append(file)
        else:
            self.unreadable.append((file, problem))

    def warn(self) -> None:
        """Says in a line each what was left out."""
        if self.duplicates:
            _log.warning(
                "%d pictures came more than once and were dropped (%d would have been in two splits, %d have other "
                "labels than the first, which was kept)",
                self.duplicates,
                self.duplicates_across_splits,
                self.duplicates_relabelled,
            )
        if self.missing:
            _log.warning("%d pictures are missing: %s", len(self.missing), _first(self.missing))
        if self.unreadable:
            files = [file for file, _ in self.unreadable]
            _log.warning("%d pictures cannot be read: %s", len(files), _first(files))

    def as_json(self) -> dict[str, Any]:
        """For the data set's description."""
        return {
            "splits": {
                name: {"rows": split.rows, "not_detected": split.not_detected, "captions": len(split.captions)}
                for name, split in self.splits.items()
            },
            "duplicates": {
                "dropped": self.duplicates,
                "across_splits": self.duplicates_across_splits,
                "relabelled": self.duplicates_relabelled,
            },
            "missing": self.missing,
            "unreadable": [{"file": file, "reason": reason} for file, reason in self.unreadable],
        }


def ordered_labels(summary: Summary, label: str) -> list[str]:
    """The labels that occur, FairFace's in their usual order before others; "" stands for none and comes last."""
    present = set().union(*(split.labels[label] for split in summary.splits.values()))
    usual = [name for name in _ORDER[label] if name in present]
    return usual + sorted(present - set(usual) - {""}) + [""] * ("" in present)


def _first(files: list[str], count: int = 3) -> str:
    more = f" and {len(files) - count} more; data_set.json lists them" if len(files) > count else ""
    return ", ".join(files[:count]) + more
