"""The demo itself, as `make demo` runs it: real publisher, real nodes, real subscriber, and the files at the end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
from tiny_bundle import write_tiny

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]


def command(out: Path, *options: object) -> list[str]:
    return [sys.executable, "-m", "rapport_ros.cli", "demo", "--out", str(out), *(str(option) for option in options)]


def run(out: Path, *options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(out, *options), capture_output=True, text=True, timeout=280, check=False)


def content(out: Path) -> dict:
    return json.loads((out / "profiles.json").read_text())


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights: what is estimated means nothing, but the whole path is real."""
    folder = tmp_path_factory.mktemp("bundle") / "tiny"
    write_tiny(folder)
    return folder


def test_the_default_input_with_the_shipped_bundle_ends_in_profiles_and_a_report(tmp_path: Path):
    out = tmp_path / "demo"
    done = run(out)
    assert done.returncode == 0, done.stdout + done.stderr
    found = content(out)
    assert found["frames"] == 330 and found["failure"] == ""
    assert found["received"] + found["lost"] == 330
    assert found["processed"] + sum(found["dropped"].values()) == found["received"]
    for person in found["profiles"]:
        assert re.fullmatch(r"person_[0-9a-f]+", person["user_id"])
        assert person["observations"] >= 1 and person["anonymous"] is True
        assert person["age"] is None or person["age"]["low"] <= person["age"]["mean"] <= person["age"]["high"]
        assert person["gender"] is None or 0.5 <= person["gender"]["confidence"] <= 1.0
        assert person["user_id"] in done.stdout
    page = (out / "report.html").read_text()
    assert "data:image/jpeg;base64," in page and not re.search(r"https?:|<script", page)
    assert all(person["user_id"] in page for person in found["profiles"])


def test_compressed_frames_take_the_same_way(tmp_path: Path, bundle: Path):
    out = tmp_path / "demo"
    done = run(out, "--bundle", bundle, "--compressed", "--seconds", 3)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(content(out)["profiles"]) >= 1


@pytest.mark.parametrize("what", ["bags/three_faces_mcap", "people/video/yes.mkv"])
def test_recordings_and_videos_are_profiled(tmp_path: Path, bundle: Path, shared_data: Path, what: str):
    out = tmp_path / "demo"
    done = run(out, "--bundle", bundle, "--input", shared_data / what)
    assert done.returncode == 0, done.stdout + done.stderr
    found = content(out)
    assert str(shared_data / what) in found["input"]
    assert found["latency_ms"]["faces"]["n"] > 0


def test_without_a_face_the_report_is_written_and_the_status_is_1(tmp_path: Path, bundle: Path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    cv2.imwrite(str(pictures / "grey.png"), np.full((240, 320, 3), 128, dtype=np.uint8))
    out = tmp_path / "demo"
    done = run(out, "--bundle", bundle, "--input", pictures, "--hold", 1)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "no face was profiled" in done.stdout
    assert content(out)["profiles"] == [] and content(out)["frames"] == 30
    assert "No face was profiled" in (out / "report.html").read_text()


def test_ctrl_c_ends_all_processes_and_the_report_is_written(tmp_path: Path, bundle: Path):
    out = tmp_path / "demo"
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    cv2.imwrite(str(pictures / "grey.png"), np.full((240, 320, 3), 128, dtype=np.uint8))
    options = ("--bundle", bundle, "--input", pictures / "grey.png", "--rate", 5, "--hold", 60)
    with subprocess.Popen(
        command(out, *options), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=unbuffered()
    ) as demo:
        assert demo.stdout is not None
        while "nodes ready" not in (line := demo.stdout.readline()):
            assert line, "the demo ended before its nodes were ready"
        children = psutil.Process(demo.pid).children(recursive=True)
        assert len(children) == 2
        time.sleep(1.0)
        demo.send_signal(signal.SIGINT)
        text, errors = demo.communicate(timeout=60)
    assert demo.returncode == 1 and "interrupted" in text and "Traceback" not in errors
    assert content(out)["frames"] < 300 and (out / "report.html").exists()
    assert not psutil.wait_procs(children, timeout=10.0)[1]


def test_killing_the_demo_ends_its_nodes_and_its_player(tmp_path: Path, bundle: Path):
    with subprocess.Popen(
        command(tmp_path / "demo", "--bundle", bundle), stdout=subprocess.PIPE, text=True, env=unbuffered()
    ) as demo:
        assert demo.stdout is not None
        while "nodes ready" not in (line := demo.stdout.readline()):
            assert line, "the demo ended before its nodes were ready"
        children = psutil.Process(demo.pid).children(recursive=True)
        demo.kill()
    assert not psutil.wait_procs(children, timeout=30.0)[1]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--input", "nothing.mp4"), "no such file"),
        (("--input", "97"), "no camera at /dev/video97"),
        (("--input", "SHARED/bags/hri_one_person"), "no images in this recording; its topics are"),
        (("--input", "SHARED/bags/rosbag2_fixtures/rosbag2_tests/sqlite3/wrong_rmw_test"), "cannot be read"),
        (("--bundle", "."), "bundle"),
    ],
)
def test_bad_input_is_one_line_and_status_2(tmp_path: Path, request, options: tuple[str, ...], reason: str):
    if any("SHARED" in option for option in options):
        shared = str(request.getfixturevalue("shared_data"))
        options = tuple(option.replace("SHARED", shared) for option in options)
    done = run(tmp_path / "demo", *options)
    assert done.returncode == 2, done.stdout + done.stderr
    assert reason in done.stderr and "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "demo" / "profiles.json").exists()


def unbuffered() -> dict[str, str]:
    return {**os.environ, "PYTHONUNBUFFERED": "1"}
