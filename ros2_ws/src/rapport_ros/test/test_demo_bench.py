"""What is measured, and how figures become verdicts."""

from __future__ import annotations

import json

import pytest

from rapport_ros.bench import table
from rapport_ros.bench.cases import all_cases
from rapport_ros.bench.results import BenchResults, CaseResult, case_result, encode, targets
from rapport_ros.harness.recording import FacesReceived, Percentiles, Recording, percentiles
from rapport_ros.harness.usage import Usage, UsageMeter, this_machine


def result(case_index: int = 0, **figures: str) -> CaseResult:
    case = all_cases()[case_index]
    recording = Recording(ready_after=2.5, usage=Usage(cpu_percent=40.0, rss_mb=300.0))
    recording.published = [(n, n / 30.0) for n in range(240)]
    recording.faces = [FacesReceived(n, n / 30.0 + 0.01, ("abcde",) * case.faces) for n in range(240)]
    values = {"received": "240", "processed": "239", "dropped superseded": "1", "overhead ms p50": "2.0"}
    recording.diagnostics["face_perception"] = {**values, "stage detect ms p50": "24.0", **figures}
    return case_result(case, recording, percentiles([0.0]))


def verdicts(cases: list[CaseResult]) -> dict[str, bool]:
    return {target.name.partition(",")[0]: target.met for target in targets(cases)}


def test_two_sizes_two_transports_and_two_numbers_of_faces_are_measured():
    names = [case.name for case in all_cases()]
    assert len(names) == len(set(names)) == 8
    assert "640x480 raw 1 face" in names and "1280x720 compressed 4 faces" in names


def test_figures_within_the_targets_pass():
    assert set(verdicts([result()]).values()) == {True}
    assert len(targets([result()])) == 5


@pytest.mark.parametrize(
    ("figures", "target"),
    [
        ({"received": "239"}, "frames lost in transport"),
        ({"overhead ms p50": "3.1"}, "outside the models at 640x480"),
    ],
)
def test_figures_beyond_a_target_miss_that_one(figures: dict[str, str], target: str):
    missed = [name for name, met in verdicts([result(), result(**figures)]).items() if not met]
    assert missed == [target]


def test_large_images_are_not_held_to_the_target_of_small_ones():
    large = next(index for index, case in enumerate(all_cases()) if case.height == 720)
    assert verdicts([result(), result(large, **{"overhead ms p50": "9.0"})])["outside the models at 640x480"]


def test_the_json_has_the_promised_form():
    made = BenchResults(
        machine=this_machine(), models={}, seconds_per_case=8.0, cases=[result()], targets=targets([result()])
    )
    content = json.loads(encode(made))
    assert content["machine"]["cores"] >= 1
    (case,) = content["cases"]
    assert case["name"] == "640x480 raw 1 face"
    assert (case["sent"], case["received"], case["dropped"]) == (240, 240, {"superseded": 1})
    assert case["overhead_ms"]["p50"] == 2.0 and case["latency_ms"]["faces"]["p50"] == pytest.approx(10.0)
    assert (case["cpu_percent"], case["rss_mb"], case["rate_hz"]) == (40.0, 300.0, 30.0)


def test_the_table_shows_figures_drops_and_misses():
    cases = [result(), result(3, **{"received": "200"})]
    assert "640x480 raw 1 face" in table.line(cases[0]) and "2.0/-/-" in table.line(cases[0])
    assert "24.00" in table.stage_table(cases)
    assert table.drop_lines(cases)[0] == "640x480 raw 1 face: 1 superseded"
    assert any(text.startswith("MISS  frames lost") for text in table.target_lines(targets(cases)))
    assert len(table.line(cases[0])) == len(table.HEAD)


def test_usage_sees_what_this_process_burns():
    import os
    import time

    meter = UsageMeter(os.getpid())
    meter.start()
    ballast = bytearray(50_000_000)
    until = time.process_time() + 0.3
    while time.process_time() < until:
        ballast[0] ^= 1
    used = meter.stop()
    assert used.cpu_percent > 0.0 and used.rss_mb > 50.0


def test_usage_of_a_process_that_ended_is_what_was_seen_of_it():
    import subprocess
    import sys

    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    meter = UsageMeter(child.pid)
    meter.start()
    child.communicate(b"\n")
    assert meter.stop().rss_mb > 0.0


def test_no_percentiles_are_dashes():
    assert "-/-/-" in table.line(CaseResult(**{**as_dict(result()), "overhead_ms": Percentiles()}))


def as_dict(case: CaseResult) -> dict:
    return {name: getattr(case, name) for name in case.__struct_fields__}
