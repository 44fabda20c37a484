"""What a run gave, and the figures that follow from it; knows no ROS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np

from rapport_ros.harness.usage import Usage


class Percentiles(msgspec.Struct, frozen=True, kw_only=True):
    """Of durations, in milliseconds; None where nothing was measured."""

    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    n: int = 0


class AgeState(msgspec.Struct, frozen=True, kw_only=True):
    """Years: the mean and the central 80 % interval."""

    mean: float
    low: float
    high: float


class GenderState(msgspec.Struct, frozen=True, kw_only=True):
    """The most probable label and its probability."""

    label: str
    confidence: float


class ProfileState(msgspec.Struct, frozen=True, kw_only=True):
    """One profile message in plain values.

    Attributes:
        age, gender: None when unknown.
        face_id: empty when the person was out of sight.
        consent: in words.
        first_seen, last_seen: seconds since 1970.
    """

    user_id: str
    age: AgeState | None
    gender: GenderState | None
    observations: int
    face_id: str
    anonymous: bool
    consent: str
    summary: str
    first_seen: float
    last_seen: float


@dataclass(frozen=True, slots=True)
class ProfileReceived:
    """A profile message and when it came (`time.monotonic()`)."""

    stamp_ns: int
    received: float
    state: ProfileState


@dataclass(frozen=True, slots=True)
class FacesReceived:
    """A FaceArray: ids of its faces, and when it came (`time.monotonic()`)."""

    stamp_ns: int
    received: float
    ids: tuple[str, ...]


@dataclass(slots=True)
class Recording:
    """One run.

    Attributes:
        description: what was played.
        ready_after: seconds from the start of the nodes' process until all were active.
        started: `time.monotonic()` when playing began.
        published: (stamp in nanoseconds, `time.monotonic()` of publication) per frame.
        late: seconds by which frames were published after they were due.
        faces, profiles: what came, in order; profiles of persons that were forgotten meanwhile are left out.
        diagnostics: newest values by node name.
        usage: of the nodes' process while frames were played.
        failure: why playing ended early; empty when it did not.
    """

    description: str = ""
    ready_after: float = 0.0
    started: float = 0.0
    published: list[tuple[int, float]] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    faces: list[FacesReceived] = field(default_factory=list)
    profiles: list[ProfileReceived] = field(default_factory=list)
    diagnostics: dict[str, dict[str, str]] = field(default_factory=dict)
    usage: Usage | None = None
    failure: str = ""

    @property
    def perception(self) -> dict[str, str]:
        """Diagnostics of face_perception."""
        return self.diagnostics.get("face_perception", {})

    @property
    def received(self) -> int:
        """Images that reached face_perception, by its own count."""
        return int(self.perception.get("received", 0))

    @property
    def lost(self) -> int:
        """Images that were published and did not reach face_perception: lost in transport."""
        return max(0, len(self.published) - self.received)

    @property
    def dropped(self) -> dict[str, int]:
        """Images that face_perception received and did not process, by reason."""
        return self._counts("dropped ")

    @property
    def not_encoded(self) -> dict[str, int]:
        """Views of faces that were too poor to be encoded, by reason."""
        return self._counts("not encoded ")

    @property
    def final_profiles(self) -> list[ProfileState]:
        """The newest state of each person with at least one observation, in the order of their first message."""
        newest = {item.state.user_id: item.state for item in self.profiles}
        return [state for state in newest.values() if state.observations > 0]

    def latency_to_faces(self) -> Percentiles:
        """From the publication of an image to the arrival of its faces in another process."""
        return percentiles(self._latencies([(item.stamp_ns, item.received) for item in self.faces]))

    def latency_to_profile(self) -> Percentiles:
        """From the publication of an image to the arrival of the first profile whose estimates rest on it."""
        estimated = [item for item in self.profiles if item.state.observations > 0]
        return percentiles(self._latencies([(item.stamp_ns, item.received) for item in estimated]))

    def face_rate(self, count: int) -> float:
        """Hz of messages with at least `count` faces, between the first and the last of them; 0 below two."""
        times = [item.received for item in self.faces if len(item.ids) >= count]
        return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 and times[-1] > times[0] else 0.0

    def reported(self, name: str) -> Percentiles:
        """Percentiles that face_perception reports about itself: "overhead", "latency", "stage detect"."""
        values = {key: self.perception.get(f"{name} ms {key}") for key in ("p50", "p95", "p99")}
        return Percentiles(**{key: float(value) for key, value in values.items() if value is not None})

    def stages(self) -> list[str]:
        """Names of the stages that face_perception reports."""
        head, tail = "stage ", " ms p50"
        return [key[len(head) : -len(tail)] for key in self.perception if key.startswith(head) and key.endswith(tail)]

    def _counts(self, prefix: str) -> dict[str, int]:
        return {key[len(prefix) :]: int(value) for key, value in self.perception.items() if key.startswith(prefix)}

    def _latencies(self, arrivals: Sequence[tuple[int, float]]) -> list[float]:
        """Seconds until the first arrival for each published stamp."""
        sent = dict(self.published)
        first: dict[int, float] = {}
        for stamp, received in arrivals:
            if stamp in sent:
                first.setdefault(stamp, received - sent[stamp])
        return list(first.values())


def percentiles(seconds: Sequence[float]) -> Percentiles:
    """Of durations in seconds."""
    if not seconds:
        return Percentiles()
    p50, p95, p99 = (round(float(value) * 1e3, 3) for value in np.percentile(seconds, [50, 95, 99]))
    return Percentiles(p50=p50, p95=p95, p99=p99, n=len(seconds))
