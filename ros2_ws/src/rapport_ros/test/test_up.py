"""`rapport up`: all nodes in a process of their own, over real DDS."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from perception_setup import Camera
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from rclpy.node import Node
from tiny_bundle import write_tiny

from rapport_edge.errors import SettingsError
from rapport_msgs.msg import DemographicEstimate, FaceArray, UserProfile
from rapport_ros.cli import DEFAULT_PARAMETERS
from rapport_ros.params_file import check_params_file
from rapport_ros.qos import LATCHED, RESULTS
from rapport_ros.runner import NodeGroup, ros_context
from rapport_ros.stop_signals import StoppedError, StopRequest
from rapport_ros.up import NODES, ros_arguments, run_all

COMMAND = [sys.executable, "-c", "from rapport_ros.cli import main; main()", "up"]


@pytest.fixture
def parameters(tmp_path):
    """A parameter file for a deployment that allows age and gender."""
    bundle = write_tiny(tmp_path / "bundle").path
    path = tmp_path / "rapport.yaml"
    path.write_text(
        f"""
/**/face_perception:
  ros__parameters:
    pipeline.bundle_path: {bundle}
    pipeline.allowed_attributes: [age, gender]
    image.max_age: 20.0
/**/profile_store:
  ros__parameters:
    database: {tmp_path / "profiles.sqlite"}
"""
    )
    return path


class Running:
    """A process and the lines that it has printed so far."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.lines: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        self.lines.extend(iter(self.process.stdout.readline, ""))

    @property
    def output(self) -> str:
        return "".join(self.lines)


@pytest.fixture
def up():
    started: list[Running] = []

    def start(*arguments: str) -> Running:
        started.append(Running(*arguments))
        return started[-1]

    yield start
    for running in started:
        if running.process.poll() is None:
            running.process.kill()
        running.process.wait()


@pytest.mark.live
@pytest.mark.timeout(400)
def test_from_camera_to_profile_and_a_clean_end(graph, parameters, up):
    listener = graph.add(Node("listener"))
    namespace = "/robot1"
    arrays = graph.collect(listener, FaceArray, f"{namespace}/faces", RESULTS)
    estimates = graph.collect(listener, DemographicEstimate, f"{namespace}/demographics", RESULTS)
    profiles = graph.collect(listener, UserProfile, f"{namespace}/profiles", LATCHED)
    graph.add(Camera("/camera/image_raw"))
    arguments = ["--params", str(parameters), "--namespace", namespace, "--remap", "image:=/camera/image_raw"]
    running = up(*arguments)
    graph.wait_for(lambda: re.search(r"ready in \d+\.\d s", running.output), "the line that says ready", 200.0)
    graph.wait_for(lambda: profiles and estimates, "a profile")
    assert profiles[-1].anonymous and profiles[-1].face_id
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(60) == 0, running.output
    graph.wait_for(lambda: not arrays[-1].faces, "the list without faces")
    assert "Traceback" not in running.output


@pytest.mark.timeout(400)
def test_a_refused_parameter_ends_with_status_2_and_the_reason(own_domain, tmp_path, up):
    path = tmp_path / "bad.yaml"
    path.write_text("face_perception:\n  ros__parameters:\n    pipeline.detect_every_n: 0\n")
    running = up("--params", str(path))
    assert running.process.wait(200) == 2
    assert "rapport: face_perception refused to configure: parameter pipeline.detect_every_n: 0 is not at least 1" in (
        running.output
    )


def catches(pid: int, number: signal.Signals) -> bool:
    """Whether a process has a handler for a signal (proc(5), SigCgt of status)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return bool(int(re.search(r"SigCgt:\s*([0-9a-f]+)", status)[1], 16) >> (number - 1) & 1)


def wait_until(condition, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.timeout(200)
@pytest.mark.parametrize("moment", [0.3, 0.8, 1.5])
def test_ctrl_c_before_everything_is_ready_ends_with_one_line(own_domain, parameters, up, moment):
    started = time.monotonic()
    running = up("--params", str(parameters))
    # Python catches SIGINT from the start; SIGTERM only `stop_signals` does. A busy machine may take longer than usual.
    wait_until(lambda: catches(running.process.pid, signal.SIGTERM), 60.0)
    time.sleep(max(0.0, started + moment - time.monotonic()))
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(60) == 0, running.output
    wait_until(lambda: re.search(r"stopped by SIGINT before all nodes were ready\n$|stopping\n$", running.output), 10.0)
    assert "Traceback" not in running.output
    assert ("ready in" in running.output) is ("stopping" in running.output)


#: Says which signals have handlers of ours when ROS is about to be imported.
WITNESS = """
import signal, sys

class Witness:
    def find_spec(self, name, path=None, target=None):
        if name == "rclpy":
            print([getattr(signal.getsignal(one), "__name__", "") for one in (signal.SIGINT, signal.SIGTERM)])
            sys.exit(7)

sys.meta_path.insert(0, Witness())
from rapport_ros.cli import main
main(["up"])
"""


def test_signals_are_caught_before_ros_is_imported():
    """Which takes a second or more, in which Ctrl-C would end in a traceback."""
    done = subprocess.run([sys.executable, "-c", WITNESS], capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stdout) == (7, "['take', 'take']\n"), done.stderr


@pytest.mark.parametrize("step", [0, 1, 5])
def test_a_request_to_stop_is_seen_before_each_step(own_domain, step):
    stop, steps = StopRequest(), []

    class Counted(LifecycleNode):
        def __init__(self) -> None:
            super().__init__(f"counted_{len(steps)}")
            self.count()

        def count(self) -> TransitionCallbackReturn:
            steps.append(self.get_name())
            if len(steps) == step:
                stop.take(signal.SIGTERM, None)
            return TransitionCallbackReturn.SUCCESS

        def on_configure(self, state) -> TransitionCallbackReturn:
            return self.count()

        def on_activate(self, state) -> TransitionCallbackReturn:
            return self.count()

    if step == 0:
        stop.take(signal.SIGTERM, None)
    with ros_context([]), pytest.raises(StoppedError, match="stopped by SIGTERM"), NodeGroup([Counted, Counted], stop):
        pass
    assert len(steps) == step


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("face_preception:\n  ros__parameters: {}\n", "no node is called 'face_preception'"),
        ("face_perception:\n  image.topic: x\n", "must hold 'ros__parameters'"),
        ("just text", "has no sections"),
        ("a: [1", "parameter file"),
    ],
)
def test_a_parameter_file_that_ros_would_misread_is_refused(tmp_path, content, reason):
    path = tmp_path / "bad.yaml"
    path.write_text(content)
    with pytest.raises(SettingsError, match=re.escape(reason)):
        check_params_file(path, list(NODES))


@pytest.mark.parametrize(("value", "reason"), [("[age, 5]", "should be of same type"), ("", "No value at line 3")])
def test_a_value_that_only_ros_refuses_is_a_setting_refused(tmp_path, value, reason):
    path = tmp_path / "bad.yaml"
    path.write_text(f"face_perception:\n  ros__parameters:\n    image.topic: {value}\n")
    with pytest.raises(SettingsError, match=reason):
        run_all(path, "", [], print, StopRequest())


@pytest.mark.live
@pytest.mark.timeout(400)
def test_the_packaged_parameters_are_accepted_by_every_node(graph, tmp_path, up, monkeypatch):
    check_params_file(DEFAULT_PARAMETERS, list(NODES))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    running = up()
    graph.wait_for(lambda: "ready in" in running.output, "the line that says ready", 200.0)
    assert (tmp_path / "rapport" / "profiles.sqlite").exists()
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(60) == 0, running.output


def test_a_remapping_without_an_arrow_is_refused(parameters):
    with pytest.raises(SettingsError, match="FROM:=TO"):
        ros_arguments(parameters, "", ["image"])
