"""The figures on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rapport_ros.bench.results import BenchResults, CaseResult, Target
from rapport_ros.harness.recording import Percentiles

HEAD = (
    f"{'case':28} {'sent':>5} {'lost':>5} {'drop':>5} {'Hz':>5}  {'overhead ms':>17}  {'image to faces ms':>19}  "
    f"{'to profile ms':>19}  {'CPU %':>6} {'MB':>5} {'ready s':>7}"
)


def line(case: CaseResult) -> str:
    """One case; three figures are p50/p95/p99."""
    return (
        f"{case.name:28} {case.sent:5} {case.lost:5} {sum(case.dropped.values()):5} {case.rate_hz:5.1f}  "
        f"{_three(case.overhead_ms):>17}  {_three(case.latency_ms['faces']):>19}  "
        f"{_three(case.latency_ms['profile']):>19}  {case.cpu_percent:6.0f} {case.rss_mb:5.0f} {case.ready_s:7.1f}"
    )


def stage_table(cases: Sequence[CaseResult]) -> str:
    """Medians by stage, milliseconds, of the frames in which the stage ran."""
    stages = list(dict.fromkeys(stage for case in cases for stage in case.stages_ms))
    rows = [f"{'stage, p50 ms':28} " + " ".join(f"{stage:>14}" for stage in stages)]
    for case in cases:
        values = (case.stages_ms.get(stage) for stage in stages)
        rows.append(f"{case.name:28} " + " ".join(f"{'-' if v is None else format(v, '.2f'):>14}" for v in values))
    return "\n".join(rows)


def drop_lines(cases: Sequence[CaseResult]) -> list[str]:
    """What was dropped, by reason."""
    return [
        f"{case.name}: " + ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in case.dropped.items())
        for case in cases
        if case.dropped
    ]


def target_lines(targets: Sequence[Target]) -> list[str]:
    """Each target with its verdict."""
    return [
        f"{'pass' if target.met else 'MISS'}  {target.name}: {target.measured:g} (target {target.limit:g})"
        for target in targets
    ]


def machine_line(results: BenchResults) -> str:
    """What it was measured on."""
    machine = results.machine
    return (
        f"{machine.cpu}, {machine.cores} cores, {machine.memory_gb} GB, Python {machine.python}; "
        f"load before the measurement {machine.load}"
    )


def _three(values: Percentiles) -> str:
    found = (values.p50, values.p95, values.p99)
    return "/".join("-" if value is None else f"{value:.1f}" for value in found)
