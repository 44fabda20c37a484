"""Demographic estimates per person, attribute and model, pooled over encounters.

Distributions are pooled linearly, weighted by observations. An age's mean and variance are those of the mixture; its
80 % interval averages the quantiles (Vincent averaging), which keeps it as narrow as its parts are.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
from sqlite_utils import Database

from rapport_edge.errors import StoreError
from rapport_edge.faces import AttributeEstimate, DemographicEstimate
from rapport_edge.store.evidence import MAX_SETTLED_WEIGHT, SETTLED, shares
from rapport_edge.store.records import AgeInterval, DemographicRecord

AGE = "age"


class Belief(msgspec.Struct, frozen=True, kw_only=True):
    """One part of the evidence about one attribute; the fields are the columns of its row.

    `known_observations` counts those whose answer was not "unknown".
    """

    labels: tuple[str, ...]
    probabilities: tuple[float, ...]
    observations: float
    known_observations: float
    age: AgeInterval | None
    updated: float


def observe_demographics(db: Database, user_id: str, estimate: DemographicEstimate, encounter: str, at: float) -> None:
    """Record what is believed about a person in view, inside the caller's transaction.

    Raises:
        StoreError: probabilities that are not finite or do not fit the labels, or no observations.
    """
    for name, attribute in estimate.attributes.items():
        _observe(db, (user_id, name, estimate.model_digest), encounter, _belief(attribute, estimate, None, at))
    if estimate.age is not None:
        age = estimate.age
        interval = AgeInterval(mean=float(age.mean), std=float(age.std), low=float(age.low), high=float(age.high))
        belief = _belief(age.distribution, estimate, interval, at)
        _observe(db, (user_id, AGE, estimate.model_digest), encounter, belief)


def demographics_of(db: Database, user_id: str) -> tuple[DemographicRecord, ...]:
    """One record per attribute, of the model that saw the person last."""
    newest: dict[str, DemographicRecord] = {}
    for record in all_demographics_of(db, user_id):
        known = newest.get(record.attribute)
        if known is None or record.updated >= known.updated:
            newest[record.attribute] = record
    return tuple(newest.values())


def all_demographics_of(db: Database, user_id: str) -> tuple[DemographicRecord, ...]:
    """One record per attribute and model."""
    rows = db.query("SELECT * FROM demographics WHERE user_id = ? ORDER BY attribute, model_digest", [user_id])
    pooled: dict[tuple[str, str], Belief] = {}
    for row in rows:
        key, belief = (row["attribute"], row["model_digest"]), _from_row(row)
        pooled[key] = pool(pooled[key], belief) if key in pooled else belief
    return tuple(_record(attribute, digest, belief) for (attribute, digest), belief in pooled.items())


def absorb_demographics(db: Database, kept: str, gone: str) -> None:
    """Fold all evidence about `gone` into the settled evidence about `kept`, inside the caller's transaction."""
    for row in list(db.query("SELECT * FROM demographics WHERE user_id = ?", [gone])):
        _settle(db, (kept, row["attribute"], row["model_digest"]), _from_row(row))
    db.execute("DELETE FROM demographics WHERE user_id = ?", [gone])


def pool(first: Belief, second: Belief) -> Belief:
    """Two parts as one; where the labels differ, the newer part alone counts."""
    if first.labels != second.labels:
        return max(first, second, key=lambda part: part.updated)
    a, b = shares(first.observations, second.observations)
    return Belief(
        labels=first.labels,
        probabilities=tuple(a * p + b * q for p, q in zip(first.probabilities, second.probabilities, strict=True)),
        observations=first.observations + second.observations,
        known_observations=first.known_observations + second.known_observations,
        age=_pool_age(first.age, second.age, a, b),
        updated=max(first.updated, second.updated),
    )


def _pool_age(first: AgeInterval | None, second: AgeInterval | None, a: float, b: float) -> AgeInterval | None:
    if first is None or second is None:
        return first or second
    mean = a * first.mean + b * second.mean
    square = a * (first.std**2 + first.mean**2) + b * (second.std**2 + second.mean**2)
    return AgeInterval(
        mean=mean,
        std=math.sqrt(max(0.0, square - mean**2)),
        low=a * first.low + b * second.low,
        high=a * first.high + b * second.high,
    )


def _belief(attribute: AttributeEstimate, estimate: DemographicEstimate, age: AgeInterval | None, at: float) -> Belief:
    probabilities = np.asarray(attribute.probabilities, dtype=np.float64)
    if probabilities.shape != (len(attribute.labels),) or not _is_distribution(probabilities):
        raise StoreError(
            f"the estimate of {attribute.name!r} is no distribution over its {len(attribute.labels)} labels"
        )
    if estimate.observations < 1:
        raise StoreError(f"the estimate of {attribute.name!r} rests on no observation")
    if age is not None and not all(map(math.isfinite, (age.mean, age.std, age.low, age.high))):
        raise StoreError("the age estimate is not finite")
    return Belief(
        labels=attribute.labels,
        probabilities=tuple((probabilities / probabilities.sum()).tolist()),
        observations=float(estimate.observations),
        known_observations=float(estimate.observations) if attribute.label is not None else 0.0,
        age=age,
        updated=at,
    )


def _is_distribution(probabilities: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> bool:
    return bool(np.isfinite(probabilities).all() and (probabilities >= 0).all() and probabilities.sum() > 0)


def _observe(db: Database, key: tuple[str, str, str], encounter: str, belief: Belief) -> None:
    rows = db.query(
        "SELECT * FROM demographics "
        "WHERE user_id = ? AND attribute = ? AND model_digest = ? AND encounter NOT IN (?, ?)",
        [*key, SETTLED, encounter],
    )
    for row in list(rows):
        _settle(db, key, _from_row(row))
        db.execute(
            "DELETE FROM demographics WHERE user_id = ? AND attribute = ? AND model_digest = ? AND encounter = ?",
            [*key, row["encounter"]],
        )
    _write(db, key, encounter, belief)


def _settle(db: Database, key: tuple[str, str, str], belief: Belief) -> None:
    """Fold one part into the settled part."""
    rows = db.query(
        "SELECT * FROM demographics WHERE user_id = ? AND attribute = ? AND model_digest = ? AND encounter = ?",
        [*key, SETTLED],
    )
    for row in list(rows):
        belief = pool(_from_row(row), belief)
    excess = max(1.0, belief.observations / MAX_SETTLED_WEIGHT)
    capped = msgspec.structs.replace(
        belief,
        observations=belief.observations / excess,
        known_observations=belief.known_observations / excess,
    )
    _write(db, key, SETTLED, capped)


def _write(db: Database, key: tuple[str, str, str], encounter: str, belief: Belief) -> None:
    db.execute(
        "INSERT OR REPLACE INTO demographics VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            *key,
            encounter,
            msgspec.json.encode(belief.labels).decode(),
            msgspec.json.encode(belief.probabilities).decode(),
            belief.observations,
            belief.known_observations,
            None if belief.age is None else msgspec.json.encode(belief.age).decode(),
            belief.updated,
        ],
    )


def _from_row(row: dict[str, object]) -> Belief:
    columns = ("labels", "probabilities", "age")
    parsed = {name: msgspec.json.decode(str(row[name])) for name in columns if row[name] is not None}
    return msgspec.convert({**row, **parsed}, Belief)


def _record(attribute: str, digest: str, belief: Belief) -> DemographicRecord:
    probabilities = np.asarray(belief.probabilities)
    best = int(probabilities.argmax())
    positive = probabilities[probabilities > 0]
    entropy = float(-(positive * np.log(positive)).sum())
    return DemographicRecord(
        attribute=attribute,
        labels=belief.labels,
        probabilities=belief.probabilities,
        label=belief.labels[best] if 2 * belief.known_observations >= belief.observations else None,
        confidence=float(probabilities[best]),
        uncertainty=min(1.0, entropy / math.log(len(probabilities))) if len(probabilities) > 1 else 0.0,
        observations=round(belief.observations),
        model_digest=digest,
        updated=belief.updated,
        age=belief.age,
    )
