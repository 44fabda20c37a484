"""One run: nodes and player in processes of their own, a recorder here."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

from rapport_edge.faces import ByteImage
from rapport_ros.harness.parameter_file import Overrides, write_parameters
from rapport_ros.harness.processes import NodesProcess, PlayerProcess
from rapport_ros.harness.recorder import Recorder
from rapport_ros.harness.recording import ProfileReceived, Recording
from rapport_ros.harness.usage import UsageMeter
from rapport_ros.playback.player import PlayerSettings

#: After everybody knows everybody: the readers' side of a connection may be ready a moment after the writer's.
SETTLING = 0.3
#: Seconds that results and the last reports may come after the last frame.
LONGEST_END = 4.0
LONGEST_CONNECT = 10.0


@dataclass(frozen=True, slots=True)
class TrialSettings:
    """What runs.

    Attributes:
        params: ROS parameter file of the nodes.
        overrides: parameters that replace those of the file.
        player: what is played.
        log: what the processes write to standard error is appended there.
    """

    params: Path
    overrides: Overrides
    player: PlayerSettings
    log: Path


@dataclass(frozen=True, slots=True)
class Listeners:
    """Who is told what while it happens; all are called from other threads.

    Attributes:
        on_ready: seconds until the nodes were ready.
        on_profile: each profile message.
        on_progress: frames published so far.
        on_annotated: each annotated image with the number of faces and the time of arrival; None: nobody draws.
    """

    on_ready: Callable[[float], None]
    on_profile: Callable[[ProfileReceived], None]
    on_progress: Callable[[int], None]
    on_annotated: Callable[[ByteImage, int, float], None] | None = None


def run_trial(settings: TrialSettings, listeners: Listeners, recording: Recording, stop: threading.Event) -> None:
    """Plays once and fills the recording. rclpy must be initialised, with the domain that the processes inherit.

    Returns early, with what there is, when `stop` is set.

    Raises:
        HarnessError: if nodes or player do not start.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rapport-")))
        params = folder / "params.yaml"
        # Nobody's database is touched, and nothing that was learnt about anybody stays.
        database = {"profile_store": {"database": str(folder / "profiles.sqlite")}}
        write_parameters(settings.params, {**database, **settings.overrides}, params)
        nodes = stack.enter_context(NodesProcess(params, settings.log))
        player = stack.enter_context(PlayerProcess(settings.player, settings.log))
        node = stack.enter_context(_spinning("rapport_recorder"))
        recorder = Recorder(node, recording, listeners.on_profile, listeners.on_annotated)
        recording.ready_after = nodes.wait_until_ready(stop)
        listeners.on_ready(recording.ready_after)
        player.wait_until_matched(stop)
        _wait(recorder.is_connected, LONGEST_CONNECT, stop)
        if not stop.wait(SETTLING):
            _play(nodes, player, recording, listeners.on_progress, stop)
        ended = time.monotonic()
        _wait(lambda: recorder.has_report_since(ended + SETTLING), LONGEST_END, threading.Event())


def _play(
    nodes: NodesProcess,
    player: PlayerProcess,
    recording: Recording,
    on_progress: Callable[[int], None],
    stop: threading.Event,
) -> None:
    usage = UsageMeter(nodes.pid)
    usage.start()
    recording.started = time.monotonic()
    player.send("go")
    while player.is_playing and nodes.is_running and not stop.wait(0.05):
        on_progress(len(player.events))
    recording.usage = usage.stop()
    player.close()
    recording.published.extend((event.stamp_ns, event.sent) for event in player.events)
    recording.late.extend(event.late for event in player.events)
    recording.failure = player.failure if nodes.is_running else "the nodes ended while frames were played"


def _wait(condition: Callable[[], bool], longest: float, stop: threading.Event) -> None:
    """Until the condition holds, the time is over, or `stop` is set."""
    deadline = time.monotonic() + longest
    while not condition() and time.monotonic() < deadline and not stop.wait(0.02):
        continue


@contextmanager
def _spinning(name: str) -> Iterator[Node]:
    """A node that a thread spins."""
    node = rclpy.create_node(name)
    executor = SingleThreadedExecutor()
    executor.add_node(node)

    def spin() -> None:
        try:
            executor.spin()
        except ExternalShutdownException:
            return

    thread = threading.Thread(target=spin, name=name, daemon=True)
    thread.start()
    try:
        yield node
    finally:
        executor.shutdown(timeout_sec=5.0)
        thread.join(5.0)
        node.destroy_node()
