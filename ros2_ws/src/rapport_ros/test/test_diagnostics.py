"""Rates and latencies, and the message on /diagnostics."""

from __future__ import annotations

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node

from rapport_ros.diagnostics import DiagnosticsPublisher, DropCounter, LatencyWindow, RateMeter, Report


def test_rate_over_the_window_and_since_the_start():
    time = [0.0]
    meter = RateMeter(window=2.0, now=lambda: time[0])
    for _ in range(30):
        time[0] += 0.1
        meter.tick()
    assert meter.rate() == pytest.approx(10.0, rel=0.06)
    assert meter.total == 30
    time[0] += 10.0
    assert meter.rate() == 0.0


def test_percentiles_in_milliseconds():
    window = LatencyWindow(size=100)
    assert window.percentiles_ms() == {}
    for k in range(1000):
        window.add(k / 1000.0)
    assert window.percentiles_ms()["p50"] == pytest.approx(949.5)


def test_drops_are_counted_by_reason():
    drops = DropCounter()
    assert [drops.add("too_old"), drops.add("too_old"), drops.add("superseded")] == [1, 2, 1]
    assert drops.counts() == {"too_old": 2, "superseded": 1}


def test_a_report_arrives_on_diagnostics(graph):
    node, listener = graph.add(Node("sick")), graph.add(Node("listener"))
    received = graph.collect(listener, DiagnosticArray, "/diagnostics", 10)
    report = Report("warm", DiagnosticStatus.WARN, {"rate": 29.97, "engine": "cpu"})
    publisher = DiagnosticsPublisher(node, lambda: report, period=0.05)
    graph.wait_for(lambda: received, "a diagnostic message")
    status = received[-1].status[0]
    assert (status.name, status.level, status.message) == ("/sick", DiagnosticStatus.WARN, "warm")
    assert {value.key: value.value for value in status.values} == {"rate": "29.970", "engine": "cpu"}
    publisher.close()
