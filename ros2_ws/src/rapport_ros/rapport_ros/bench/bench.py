"""Measures case by case, each with fresh nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rapport_edge.atomic import write_atomically
from rapport_edge.errors import SettingsError
from rapport_ros.bench import table
from rapport_ros.bench.cases import Case
from rapport_ros.bench.results import BenchResults, CaseResult, case_result, encode, targets
from rapport_ros.harness.recording import Recording, percentiles
from rapport_ros.harness.trial import Listeners, TrialSettings, run_trial
from rapport_ros.harness.usage import this_machine
from rapport_ros.playback.player import PlayerSettings
from rapport_ros.runner import ros_context
from rapport_ros.stop_signals import StoppedError, StopRequest


@dataclass(frozen=True, slots=True)
class BenchSettings:
    """How it is measured.

    Attributes:
        cases: what is measured.
        seconds: length of one case.
        params: ROS parameter file of the nodes.
        bundle: folder of the encoder's bundle; None leaves it to the parameter file.
        out: the JSON file.
    """

    cases: Sequence[Case]
    seconds: float
    params: Path
    bundle: Path | None
    out: Path


def run_bench(settings: BenchSettings, say: Callable[[str], None], stop: StopRequest) -> bool:
    """Measures, prints and writes; when `stop` is set, the case in work is given up and the finished ones are written.

    Returns:
        Whether every case was played to its end. Targets are reported, not demanded: they depend on the machine.

    Raises:
        HarnessError: if nodes or player do not start.
        SettingsError: if the file cannot be written.
        StoppedError: if `stop` was set before the last case was finished.
    """
    machine = this_machine()
    log = _prepare(settings.out)
    done: list[CaseResult] = []
    models: dict[str, str] = {}
    say(table.HEAD)
    with ros_context([]):
        for case in settings.cases:
            recording = measure(case, settings, log, stop)
            if stop.is_set():
                break
            done.append(case_result(case, recording, percentiles(recording.late)))
            models = {key: value for key, value in recording.perception.items() if key in ("detector", "encoder")}
            say(table.line(done[-1]))
    if done:
        found = BenchResults(
            machine=machine, models=models, seconds_per_case=settings.seconds, cases=done, targets=targets(done)
        )
        _write(settings.out, encode(found))
        for text in ("", table.stage_table(done), "", *table.drop_lines(done), *table.target_lines(found.targets)):
            say(text)
        say(f"{table.machine_line(found)}\nwritten to {settings.out}")
    if len(done) < len(settings.cases):
        raise StoppedError(_where_it_stopped(settings, len(done), stop))
    return not any(case.failure for case in done)


def _where_it_stopped(settings: BenchSettings, finished: int, stop: StopRequest) -> str:
    case = settings.cases[finished]
    figures = f"figures of the {finished} before it are in {settings.out}" if finished else "no figures were written"
    return f"stopped by {stop.name} in case {finished + 1} of {len(settings.cases)}, {case.name}: {figures}"


def measure(case: Case, settings: BenchSettings, log: Path, stop: StopRequest) -> Recording:
    """Plays one case."""
    topic = "image/compressed" if case.transport == "compressed" else "image"
    perception: dict[str, object] = {"image.topic": topic, "image.transport": case.transport}
    if settings.bundle is not None:
        perception["pipeline.bundle_path"] = str(settings.bundle.expanduser().absolute())
    player = PlayerSettings(scene=case.scene(settings.seconds), topic=topic)
    recording = Recording(description=case.name)
    quiet = Listeners(on_ready=_ignore, on_profile=_ignore, on_progress=_ignore)
    run_trial(TrialSettings(settings.params, {"face_perception": perception}, player, log), quiet, recording, stop)
    return recording


def _ignore(_: object) -> None:
    """Nobody watches a measurement."""


def _prepare(out: Path) -> Path:
    log = out.with_suffix(".log")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        log.write_bytes(b"")
    except OSError as error:
        raise SettingsError(f"{out} cannot be written: {error.strerror or error}") from error
    return log


def _write(out: Path, content: bytes) -> None:
    try:
        write_atomically(out, content)
    except OSError as error:
        raise SettingsError(f"{out} cannot be written: {error.strerror or error}") from error
