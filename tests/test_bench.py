"""The measurement itself, one short case of it: real processes, and figures that fit together."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_bundle import write_tiny

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]


def run(*options: object) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "rapport_ros.cli", "bench", *(str(option) for option in options)]
    return subprocess.run(words, capture_output=True, text=True, timeout=280, check=False)


@pytest.mark.parametrize("case", ["640x480 raw 1", "1280x720 compressed 4"])
def test_a_case_gives_figures_that_fit_together(tmp_path: Path, case: str):
    write_tiny(tmp_path / "tiny")
    out = tmp_path / "bench" / "latest.json"
    done = run("--only", case, "--seconds", 3, "--bundle", tmp_path / "tiny", "--out", out)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(out.read_text())
    (measured,) = found["cases"]
    assert measured["name"].startswith(case) and measured["sent"] == 90
    assert measured["received"] + measured["lost"] == 90
    assert measured["processed"] + sum(measured["dropped"].values()) == measured["received"]
    for kind in ("faces", "profile"):
        figures = measured["latency_ms"][kind]
        assert 0.0 < figures["p50"] <= figures["p95"] <= figures["p99"]
    stages = measured["stages_ms"]
    assert stages["detect_network"] <= stages["detect"] and stages["encode_network"] <= stages["encode"]
    assert measured["cpu_percent"] > 0.0 and measured["rss_mb"] > 50.0 and measured["ready_s"] > 0.0
    assert found["machine"]["cores"] >= 1
    for target in found["targets"]:
        assert target["name"] in done.stdout


def test_a_case_that_does_not_exist_is_answered_with_those_that_do(tmp_path: Path):
    done = run("--only", "8K", "--out", tmp_path / "latest.json")
    assert done.returncode == 2
    assert "640x480 raw 1 face" in done.stderr and len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_one_that_is_stopped_says_where_and_writes_no_figures(tmp_path: Path, number: signal.Signals, status: int):
    out, log = tmp_path / "latest.json", tmp_path / "latest.log"
    words = [sys.executable, "-m", "rapport_ros.cli", "bench", "--only", "640x480 raw", "--out", str(out)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 120.0
        while not (log.exists() and "ready in" in log.read_text()):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    where = "in case 1 of 2, 640x480 raw 1 face: no figures were written"
    assert errors == f"rapport: stopped by {number.name} {where}\n"
    assert process.returncode == status
    assert not out.exists()
