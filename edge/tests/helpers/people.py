"""Estimates, clocks and databases for the tests of the profile store."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rapport_edge.faces import AgeEstimate, AttributeEstimate, DemographicEstimate, FloatArray
from rapport_edge.store import Consent, ProfileStore

DIGEST = "a" * 64
OTHER_DIGEST = "b" * 64


class FakeClock:
    """A clock that a test sets."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def unit(seed: int, dim: int = 64) -> FloatArray:
    """A random direction."""
    vector = np.random.default_rng(seed).standard_normal(dim).astype(np.float32)
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)


def attribute(name: str, labels: tuple[str, ...], probabilities: list[float], known: bool = True) -> AttributeEstimate:
    values = np.asarray(probabilities, dtype=np.float32)
    best = int(values.argmax())
    return AttributeEstimate(name, labels, values, labels[best] if known else None, float(values[best]))


def estimate(
    female: float = 0.8, observations: int = 3, seed: int = 0, mean: float = 30.0, digest: str = DIGEST
) -> DemographicEstimate:
    """A plausible estimate of one person."""
    gender = attribute("gender", ("Female", "Male"), [female, 1 - female])
    bins = attribute("age", ("20-29", "30-39"), [0.4, 0.6])
    age = AgeEstimate(bins, mean, 5.0, mean - 6.4, mean + 6.4)
    return DemographicEstimate(age, {"gender": gender}, unit(seed), observations, digest)


def remember(store: ProfileStore, user_id: str, seed: int = 0, **changes: float) -> None:
    """A person who is seen once and grants consent."""
    store.observe(user_id, estimate(seed=seed, **changes), f"{user_id}-first")  # type: ignore[arg-type]
    store.set_consent(user_id, Consent.GRANTED, "self", "said yes")


def bytes_on_disk(path: Path) -> bytes:
    """Database, write-ahead log and whatever else lies beside it."""
    return b"".join(file.read_bytes() for file in sorted(path.parent.iterdir()) if file.is_file())
