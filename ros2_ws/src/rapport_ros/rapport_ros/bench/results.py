"""bench/latest.json: the figures of a run, and the targets that they are held against."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from rapport_ros.bench.cases import Case
from rapport_ros.harness.recording import Percentiles, Recording
from rapport_ros.harness.usage import Machine

#: Targets on two cores.
MOST_OVERHEAD_MS = 3.0
LEAST_RATE_HZ = 29.0  # 30 Hz, less what the measurement's own borders take
MOST_RSS_MB = 500.0
LONGEST_START_S = 5.0


class CaseResult(msgspec.Struct, frozen=True, kw_only=True):
    """One case.

    Attributes:
        sent: images published by the player.
        received: images that face_perception received, by its own count.
        lost: sent, but not received: lost in transport.
        dropped: received, but not processed, by reason.
        rate_hz: messages per second with all faces of the scene in them.
        overhead_ms: work on a frame outside the networks' runs.
        latency_ms: from an image's publication to the arrival, in a third process, of its faces ("faces") and of a
            profile that rests on it ("profile"). Profiles are published 5 times a second and person at most.
        stages_ms: median by stage, of the frames in which it ran.
        late_ms: how much later than due the player published; large values mean that the machine was overloaded.
        cpu_percent: of the nodes' process, of one core.
        rss_mb: the most that the nodes' process held.
        ready_s: from the start of the nodes' process until all nodes were active.
    """

    name: str
    width: int
    height: int
    transport: str
    faces: int
    sent: int
    received: int
    lost: int
    processed: int
    dropped: dict[str, int]
    rate_hz: float
    overhead_ms: Percentiles
    latency_ms: dict[str, Percentiles]
    stages_ms: dict[str, float | None]
    late_ms: Percentiles
    cpu_percent: float
    rss_mb: float
    ready_s: float
    failure: str


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What the system should reach on two cores, and whether it did."""

    name: str
    limit: float
    measured: float
    met: bool


class BenchResults(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file."""

    machine: Machine
    models: dict[str, str]
    seconds_per_case: float
    cases: list[CaseResult]
    targets: list[Target]


def case_result(case: Case, recording: Recording, late: Percentiles) -> CaseResult:
    """The figures of one case."""
    usage = recording.usage
    return CaseResult(
        name=case.name,
        width=case.width,
        height=case.height,
        transport=case.transport,
        faces=case.faces,
        sent=len(recording.published),
        received=recording.received,
        lost=recording.lost,
        processed=int(recording.perception.get("processed", 0)),
        dropped=recording.dropped,
        rate_hz=round(recording.face_rate(case.faces), 2),
        overhead_ms=recording.reported("overhead"),
        latency_ms={"faces": recording.latency_to_faces(), "profile": recording.latency_to_profile()},
        stages_ms={stage: recording.reported(f"stage {stage}").p50 for stage in recording.stages()},
        late_ms=late,
        cpu_percent=usage.cpu_percent if usage is not None else 0.0,
        rss_mb=usage.rss_mb if usage is not None else 0.0,
        ready_s=round(recording.ready_after, 2),
        failure=recording.failure,
    )


def targets(cases: Sequence[CaseResult]) -> list[Target]:
    """The targets of the cases that were measured."""
    small = [case for case in cases if case.height == 480]
    overheads = [case.overhead_ms.p50 for case in small if case.overhead_ms.p50 is not None]
    rates = [case.rate_hz for case in small if case.faces == 1]
    found = [
        _at_most("frames lost in transport, all cases", 0.0, sum(case.lost for case in cases)),
        _at_most("memory, MB, all cases", MOST_RSS_MB, max(case.rss_mb for case in cases)),
        _at_most("ready after, s, median", LONGEST_START_S, sorted(case.ready_s for case in cases)[len(cases) // 2]),
    ]
    if overheads:
        found.append(_at_most("outside the models at 640x480, ms, p50", MOST_OVERHEAD_MS, max(overheads)))
    if rates:
        slowest = min(rates)
        met = slowest >= LEAST_RATE_HZ
        found.append(Target(name="one face at 640x480, Hz", limit=LEAST_RATE_HZ, measured=slowest, met=met))
    return found


def encode(results: BenchResults) -> bytes:
    """Indented JSON."""
    return msgspec.json.format(msgspec.json.encode(results), indent=2) + b"\n"


def _at_most(name: str, limit: float, measured: float) -> Target:
    return Target(name=name, limit=limit, measured=round(measured, 3), met=measured <= limit)
