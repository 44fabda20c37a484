"""What all views of one face say together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

from rapport_edge.bundle.manifest import Head
from rapport_edge.encoding.estimates import estimate_all
from rapport_edge.faces import DemographicEstimate, FloatArray


class FusionSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How views add up, and when they are forgotten.

    Attributes:
        memory: sum of weights that is remembered. Until it is reached, all views count by their weight; from then on
            older views fade, so that a long track can still change its mind.
        break_cosine: a view whose embedding's cosine with the mean of the track is lower shows somebody else. With
            demographic-tiny, views of one person in four clips stay above 0.86; 67 % of pairs of strangers are below
            0.6.
        break_views: so many such views in a row end what was believed about the track. Fewer are ignored.
    """

    memory: Annotated[float, msgspec.Meta(gt=0.0)] = 20.0
    break_cosine: Annotated[float, msgspec.Meta(ge=-1.0, le=1.0)] = 0.6
    break_views: Annotated[int, msgspec.Meta(ge=1, le=100)] = 3


@dataclass(frozen=True, slots=True)
class _View:
    embedding: NDArray[np.float64]
    probabilities: Mapping[str, NDArray[np.float64]]
    weight: float


@dataclass(slots=True)
class _Pool:
    """Weighted sums over the views of one person."""

    weight: float
    embedding: NDArray[np.float64]
    sums: dict[str, NDArray[np.float64]]
    observations: int

    def add(self, view: _View, memory: float) -> None:
        self.weight += view.weight
        self.embedding = self.embedding + view.weight * view.embedding
        self.sums = {name: total + view.weight * view.probabilities[name] for name, total in self.sums.items()}
        self.observations += 1
        if self.weight > memory:
            fade = memory / self.weight
            self.weight = memory
            self.embedding = self.embedding * fade
            self.sums = {name: total * fade for name, total in self.sums.items()}

    def direction(self) -> NDArray[np.float64]:
        """The mean embedding, unit length."""
        return np.asarray(self.embedding / max(float(np.linalg.norm(self.embedding)), 1e-12))


class TrackFusion:
    """The quality-weighted mean of the views of one track: of their probabilities and of their embeddings.

    Probabilities are pooled linearly (Stone 1961), not multiplied: views of one face share the encoder's errors, and a
    product takes them for independent evidence and grows too sure. The linear pool is never surer than its surest
    view, and where views disagree the spread of the result shows it.
    """

    def __init__(self, heads: Sequence[Head], model_digest: str, settings: FusionSettings | None = None) -> None:
        """Starts without views.

        Args:
            heads: attributes to estimate; others that an encoding brings are not looked at.
            model_digest: SHA-256 of the encoder's ONNX file.
            settings: None for the defaults.
        """
        self._heads = tuple(heads)
        self._model_digest = model_digest
        self._settings = settings or FusionSettings()
        self._strangers: list[_View] = []
        self._breaks = 0
        self._pool: _Pool | None = None
        self._estimate: DemographicEstimate | None = None

    @property
    def observations(self) -> int:
        """Views that the estimate rests on."""
        return self._pool.observations if self._pool else 0

    @property
    def breaks(self) -> int:
        """How often the track turned out to show somebody else."""
        return self._breaks

    def add(self, embedding: FloatArray, probabilities: Mapping[str, FloatArray], weight: float) -> None:
        """One more view; one of weight 0 changes nothing.

        Args:
            embedding: (d,), unit length.
            probabilities: (k,) by attribute, each sums to 1; at least those of `heads`.
            weight: 0 to 1, such as `FaceQuality.score`.

        Raises:
            ValueError: if the weight is negative or not finite.
            KeyError: if the probabilities of a head are missing.
        """
        if not 0.0 <= weight < np.inf:
            raise ValueError(f"the weight of a view must be at least 0 and finite, not {weight}")
        if weight == 0.0:
            return
        chosen = {head.name: np.asarray(probabilities[head.name], dtype=np.float64) for head in self._heads}
        view = _View(np.asarray(embedding, dtype=np.float64), chosen, weight)
        if self._is_stranger(view):
            self._strangers.append(view)
            if len(self._strangers) >= self._settings.break_views:
                self._breaks += 1
                self._restart(self._strangers)
        else:
            self._strangers = []
            self._accept(view)

    def estimate(self) -> DemographicEstimate | None:
        """What is believed now; None before the first view."""
        if self._estimate is None and self._pool is not None:
            self._estimate = self._compute(self._pool)
        return self._estimate

    def _is_stranger(self, view: _View) -> bool:
        if self._pool is None:
            return False
        return float(self._pool.direction() @ view.embedding) < self._settings.break_cosine

    def _restart(self, views: list[_View]) -> None:
        """Forgets everything but these views."""
        self._pool = None
        self._strangers = []
        for view in views:
            self._accept(view)

    def _accept(self, view: _View) -> None:
        if self._pool is None:
            zeros = {name: np.zeros_like(values) for name, values in view.probabilities.items()}
            self._pool = _Pool(0.0, np.zeros_like(view.embedding), zeros, 0)
        self._pool.add(view, self._settings.memory)
        self._estimate = None

    def _compute(self, pool: _Pool) -> DemographicEstimate:
        # Divided by their own sum rather than by the weights: what float32 encodings sum to is only nearly 1.
        pooled = {name: (total / total.sum()).astype(np.float32) for name, total in pool.sums.items()}
        age, attributes = estimate_all(self._heads, pooled)
        embedding = pool.direction().astype(np.float32)
        return DemographicEstimate(age, attributes, embedding, pool.observations, self._model_digest)
