"""What one face track has shown so far, kept in memory until the store has it."""

from __future__ import annotations

import math
import uuid
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from rapport_edge.faces import AttributeEstimate, DemographicEstimate, FloatArray
from rapport_edge.store.records import AgeInterval, DemographicRecord, ProfileRecord

AGE = "age"


@dataclass(frozen=True, slots=True)
class IdentityView:
    """One view of a face through a recogniser.

    Attributes:
        embedding: (d,) float32, unit length.
        model_digest: SHA-256 of the recogniser's ONNX file.
    """

    embedding: FloatArray
    model_digest: str


@dataclass(slots=True)
class FaceEvidence:
    """One stay of one person in view.

    Attributes:
        encounter: names this stay for the store, unique for ever.
        user_id: whom the store is told about; None before the face was given to somebody.
        estimate: the newest one; it contains the earlier ones.
        identity_sum, identity_views: sum and number of the recogniser's unit vectors.
        strangers: views in a row that showed somebody else.
        barred: observations of the newest estimate since the person said no or was forgotten, or None. Perception goes
            on pooling, so its estimates hold what was seen before: none is taken until the track shows somebody else.
        unsaved: whether the store lacks something of this.
        seen: the caller's monotonic clock when the face was last in view, seconds.
    """

    seen: float
    user_id: str | None = None
    estimate: DemographicEstimate | None = None
    identity_sum: NDArray[np.float64] | None = None
    identity_views: int = 0
    identity_digest: str = ""
    strangers: int = 0
    barred: int | None = None
    unsaved: bool = False
    encounter: str = field(default_factory=lambda: uuid.uuid4().hex)

    def take(self, estimate: DemographicEstimate) -> None:
        """A newer estimate of the same person; not kept where the track is barred."""
        if self.barred is None:
            self.estimate, self.unsaved = estimate, True
        else:
            self.barred = estimate.observations

    def take_view(self, view: IdentityView) -> None:
        """One more view of the same person; a new recogniser starts afresh."""
        if self.identity_sum is None or self.identity_digest != view.model_digest:
            self.identity_sum, self.identity_views = np.zeros(len(view.embedding)), 0
            self.identity_digest = view.model_digest
        self.identity_sum = self.identity_sum + view.embedding
        self.identity_views += 1
        self.unsaved = True

    def similarity(self, view: IdentityView) -> float:
        """Cosine between a view and the mean of the earlier ones of the same recogniser; 1 before the first."""
        if self.identity_sum is None or self.identity_digest != view.model_digest:
            return 1.0
        length = max(float(np.linalg.norm(self.identity_sum)), 1e-12)
        return float(self.identity_sum @ view.embedding) / length

    def breaks_with(self, estimate: DemographicEstimate) -> bool:
        """Whether an estimate began anew: perception forgets a track when somebody else's face appears in it."""
        if self.barred is not None:
            return estimate.observations < self.barred
        return self.estimate is not None and (
            estimate.observations < self.estimate.observations or estimate.model_digest != self.estimate.model_digest
        )

    def start_anew(self) -> None:
        """Forgets all that was seen; what comes next is another stay."""
        self.estimate, self.identity_sum, self.identity_views = None, None, 0
        self.strangers, self.barred, self.unsaved, self.encounter = 0, None, False, uuid.uuid4().hex

    def bar(self) -> None:
        """Forgets all that was seen, and takes no estimate of this person any more."""
        pooled = self.barred or 0 if self.estimate is None else self.estimate.observations
        self.start_anew()
        self.barred = pooled


def live_records(estimate: DemographicEstimate, at: float) -> tuple[DemographicRecord, ...]:
    """An estimate in the store's form, for a profile that the store could not take yet."""
    records = [_record(attribute, estimate, None, at) for attribute in estimate.attributes.values()]
    if estimate.age is not None:
        age = estimate.age
        interval = AgeInterval(mean=age.mean, std=age.std, low=age.low, high=age.high)
        records.append(_record(age.distribution, estimate, interval, at))
    return tuple(records)


def with_estimate(record: ProfileRecord, estimate: DemographicEstimate) -> ProfileRecord:
    """A record in which an estimate that the store lacks takes the place of older ones of the same attributes."""
    live = live_records(estimate, record.last_seen)
    newer = {belief.attribute for belief in live}
    kept = tuple(belief for belief in record.demographics if belief.attribute not in newer)
    return msgspec.structs.replace(record, demographics=kept + live)


def _record(
    attribute: AttributeEstimate, estimate: DemographicEstimate, age: AgeInterval | None, at: float
) -> DemographicRecord:
    positive = attribute.probabilities[attribute.probabilities > 0]
    entropy = float(-(positive * np.log(positive)).sum())
    return DemographicRecord(
        attribute=attribute.name if age is None else AGE,
        labels=attribute.labels,
        probabilities=tuple(attribute.probabilities.tolist()),
        label=attribute.label,
        confidence=attribute.confidence,
        uncertainty=min(1.0, entropy / math.log(len(attribute.labels))) if len(attribute.labels) > 1 else 0.0,
        observations=estimate.observations,
        model_digest=estimate.model_digest,
        updated=at,
        age=age,
    )
