"""Evaluates a dual encoder on the test split of a data set."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from rapport_edge.atomic import write_atomically
from rapport_edge.faces import FloatArray
from rapport_training.data.user_faces import SPLITS, UserFaces
from rapport_training.demographic.dual_encoder import DualEncoder
from rapport_training.demographic.evaluation.attributes import Attributes
from rapport_training.demographic.evaluation.embeddings import EmbeddingCache, digest_of
from rapport_training.demographic.evaluation.labelled import Labelled
from rapport_training.demographic.evaluation.linear_probe import linear_probe, probe_rows
from rapport_training.demographic.evaluation.result import FORMAT, DataSummary, Result, Retrieval
from rapport_training.demographic.evaluation.retrieval import Pairs, Setting, retrieve
from rapport_training.demographic.evaluation.zero_shot import Split, zero_shot
from rapport_training.demographic.run import seen_in_training

_log = logging.getLogger(__name__)

#: Of the curve over pool sizes; the whole test set follows.
POOL_SIZES = (4, 16, 64, 256, 1024, 4096)

#: Fewer labelled faces than this calibrate nothing.
SMALLEST_VALIDATION = 20


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is measured.

    Attributes:
        settings: of user retrieval.
        attributes: also zero-shot attributes.
        probe_faces: training faces that the linear probe is fitted on, 0 for no probe.
    """

    settings: list[Setting]
    attributes: bool = True
    probe_faces: int = 5_000


@dataclass(frozen=True)
class Data:
    """A data set on the disk.

    Attributes:
        key: its name in the suite.
        splits: train, val and test.
    """

    key: str
    splits: tuple[UserFaces, UserFaces, UserFaces]

    @classmethod
    def open(cls, key: str, folder: Path) -> Data:
        """Opens all splits.

        Raises:
            DataSetError: if one is absent, empty or damaged.
        """
        train, val, test = (UserFaces.open(folder, split) for split in SPLITS)
        return cls(key, (train, val, test))


@dataclass(frozen=True)
class Subject:
    """A model that is evaluated, with its place in the table, and the folder of its run if it has one."""

    label: str
    variant: str
    seed: int | None
    encoder: DualEncoder
    run: Path | None = None


class Evaluator:
    """Evaluates models and keeps what it found: the same question is answered from the disk.

    Args:
        plan: what is measured.
        folder: results and embeddings are kept here; None keeps nothing.
        workers: processes that decode pictures.
    """

    def __init__(self, plan: Plan, folder: Path | None = None, workers: int = 0) -> None:
        self._plan = plan
        self._results = None if folder is None else folder / "results"
        self._cache = EmbeddingCache(None if folder is None else folder / "embeddings", workers)

    def evaluate(self, subject: Subject, data: Data) -> Result:
        """The figures of a model on a test set; a warning if it was trained on some of the pictures."""
        model = digest_of(subject.encoder)
        path = self._path(model, data)
        result = _read(path)
        if result is None:
            result = self._measure(subject, model, data)
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(path, msgspec.json.format(msgspec.json.encode(result)))
        return msgspec.structs.replace(
            result, label=subject.label, variant=subject.variant, seed=subject.seed, seen=_seen(subject, data)
        )

    def _path(self, model: str, data: Data) -> Path | None:
        if self._results is None:
            return None
        question = [FORMAT, model, data.key, [split.digest for split in data.splits], msgspec.to_builtins(self._plan)]
        return self._results / f"{hashlib.sha256(msgspec.json.encode(question)).hexdigest()[:32]}.json"

    def _measure(self, subject: Subject, model: str, data: Data) -> Result:
        started = time.perf_counter()
        encoder, test = subject.encoder, data.splits[2]
        images = self._cache.faces(encoder, model, test)
        texts = encoder.embed_texts([str(text) for text in np.unique(test.caption)])
        pairs = Pairs.of(images, texts, test.caption, test.content)
        attributes = _AttributeMeasurement(self._plan, self._cache, encoder, model, data)
        zero, probe = attributes.run(images)
        return Result(
            label=subject.label,
            variant=subject.variant,
            seed=subject.seed,
            model=model,
            data=data.key,
            summary=DataSummary.of(data.splits),
            retrieval=_asked(pairs, self._plan.settings),
            by_pool=_asked(pairs, _growing_pools(len(pairs))),
            zero_shot=zero,
            probe=probe,
            skipped=attributes.skipped,
            seconds=time.perf_counter() - started,
        )


def _seen(subject: Subject, data: Data) -> int:
    test = data.splits[2]
    seen = 0 if subject.run is None else seen_in_training(subject.run, test.content)
    if seen:
        _log.warning(
            "%d of the %d test pictures of %s were in the training of %s: its figures there are no test",
            seen,
            len(test),
            data.key,
            subject.label,
        )
    return seen


class _AttributeMeasurement:
    """Zero-shot heads and linear probe on one data set, as far as its labels allow."""

    def __init__(self, plan: Plan, cache: EmbeddingCache, encoder: DualEncoder, model: str, data: Data) -> None:
        self._plan, self._cache, self._encoder, self._model, self._data = plan, cache, encoder, model, data
        self.skipped: dict[str, str] = {}

    def run(self, images: FloatArray) -> tuple[Attributes | None, Attributes | None]:
        """Zero-shot and probe; None for what was skipped.

        Args:
            images: (n, d) embeddings of the whole test split.
        """
        if not self._plan.attributes:
            self.skipped["attributes"] = "not asked for"
            return None, None
        train, val, test = self._data.splits
        tested = Labelled.of(test)
        self.skipped |= tested.skipped
        if not tested.attributes or len(tested.rows) == 0:
            self.skipped["attributes"] = f"no face of {test.name} has labels that can be compared"
            return None, None
        measured = Split(images[tested.rows], tested)
        validation = self._split(val)
        if len(validation.labelled.rows) < SMALLEST_VALIDATION:
            self.skipped["attributes"] = f"{val.name} has fewer than {SMALLEST_VALIDATION} labelled faces in val"
            return None, None
        if not set(tested.attributes) & set(validation.labelled.attributes):
            self.skipped["attributes"] = f"val and test of {test.name} share no labels that can be compared"
            return None, None
        scale = float(self._encoder.model.logit_scale.detach().exp())
        zero = zero_shot(self._encoder.embed_texts, scale, validation, measured)
        if self._plan.probe_faces == 0:
            self.skipped["linear probe"] = "not asked for"
            return zero, None
        fitted = self._split(train, probe_rows(train, self._plan.probe_faces))
        return zero, linear_probe(fitted, validation, measured)

    def _split(self, faces: UserFaces, rows: NDArray[np.int64] | None = None) -> Split:
        """The labelled faces of a split, all or those among `rows`."""
        labelled = Labelled.of(faces)
        if rows is not None:
            labelled = labelled.among(rows)
        return Split(self._cache.faces(self._encoder, self._model, faces, labelled.rows), labelled)


def _asked(pairs: Pairs, settings: Sequence[Setting]) -> list[Retrieval]:
    return [Retrieval(setting=setting, figures=retrieve(pairs, setting)) for setting in settings]


def _growing_pools(count: int) -> list[Setting]:
    sizes = [size for size in POOL_SIZES if size < count]
    return [Setting(pool=pool, match=match) for match in ("image", "profile") for pool in (*sizes, "whole")]


def _read(path: Path | None) -> Result | None:
    """A kept result; None if there is none, or it is damaged or of another format."""
    try:
        return None if path is None else msgspec.json.decode(path.read_bytes(), type=Result)
    except (OSError, msgspec.DecodeError):
        return None
