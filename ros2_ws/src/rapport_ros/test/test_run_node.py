"""One node in a process of its own, as launch starts it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

NODE = [sys.executable, "-m", "rapport_ros.profile_store_node"]


@pytest.mark.parametrize(
    ("domain", "arguments", "reason"),
    [
        ("abc", [], "ROS_DOMAIN_ID is not an integral number"),
        ("233", [], "ROS_DOMAIN_ID is 233; it must be from 0 to 232"),
        ("7", ["--bogus"], "ROS knows no such arguments: ['--bogus']"),
        ("7", ["-r", "__ns:=/1a"], "Couldn't parse remap rule"),
        ("7", ["--params-file", "/nowhere.yaml"], "Couldn't parse params file"),
    ],
)
def test_what_ros_refuses_is_one_line_and_status_2(domain: str, arguments: list[str], reason: str):
    words = [*NODE, "--ros-args", *arguments]
    environment = {**os.environ, "ROS_DOMAIN_ID": domain}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=100, check=False)
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("profile_store_node: ")]
    assert reason in line
    assert "Traceback" not in done.stderr
    assert done.returncode == 2


#: Sends itself a signal once it catches them, which it does not while Python starts, and has had time to spin.
SIGNALLED = """
import os, signal, threading, time
from rapport_ros.dialogue_example import main

def send() -> None:
    while signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        time.sleep(0.01)
    time.sleep(0.5)
    os.kill(os.getpid(), {number})

threading.Thread(target=send).start()
main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(own_domain: int, number: signal.Signals):
    code = SIGNALLED.format(number=number.value)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stderr) == (0, "")
