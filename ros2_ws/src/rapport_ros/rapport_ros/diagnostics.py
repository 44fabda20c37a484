"""What a node says about its own health: rates, drops by reason and latency percentiles on /diagnostics at 1 Hz."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

Now = Callable[[], float]


class RateMeter:
    """Events per second over a sliding window. Thread-safe.

    Args:
        window: seconds.
        now: a monotonic clock in seconds.
    """

    def __init__(self, window: float = 5.0, now: Now = time.monotonic) -> None:
        self._window = window
        self._now = now
        self._started = now()
        self._times: deque[float] = deque()
        self._lock = threading.Lock()
        self.total = 0

    def tick(self) -> None:
        """Counts one event."""
        with self._lock:
            self.total += 1
            self._times.append(self._now())
            self._forget()

    def rate(self) -> float:
        """Hz over the window, or over the time since the start where that is shorter."""
        with self._lock:
            self._forget()
            span = min(self._window, self._now() - self._started)
            return len(self._times) / span if span > 0.0 else 0.0

    def _forget(self) -> None:
        oldest = self._now() - self._window
        while self._times and self._times[0] < oldest:
            self._times.popleft()


class LatencyWindow:
    """The last `size` durations and their percentiles. Thread-safe."""

    def __init__(self, size: int = 600) -> None:
        self._values: deque[float] = deque(maxlen=size)
        self._lock = threading.Lock()

    def add(self, seconds: float) -> None:
        """Takes one duration in seconds."""
        with self._lock:
            self._values.append(seconds)

    def percentiles_ms(self) -> dict[str, float]:
        """p50, p95 and p99 in milliseconds; empty before the first value."""
        with self._lock:
            values = list(self._values)
        if not values:
            return {}
        p50, p95, p99 = np.percentile(values, [50, 95, 99]) * 1e3
        return {"p50": float(p50), "p95": float(p95), "p99": float(p99)}


class DropCounter:
    """How many inputs were dropped, by reason. Thread-safe."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, reason: str) -> int:
        """Counts one drop and returns how many there were for this reason."""
        with self._lock:
            self._counts[reason] += 1
            return self._counts[reason]

    def counts(self) -> dict[str, int]:
        """A copy: reason to number."""
        with self._lock:
            return dict(self._counts)


@dataclass(frozen=True)
class Report:
    """One node's health now.

    Attributes:
        level: `DiagnosticStatus.OK`, `WARN` or `ERROR`.
        message: one line.
        values: anything that prints well; floats are shown with three decimals.
    """

    message: str
    level: bytes = DiagnosticStatus.OK
    values: Mapping[str, Any] = field(default_factory=dict)


class DiagnosticsPublisher:
    """Asks for a `Report` once a period and publishes it.

    Runs on a steady clock, so also while simulated time stands still.

    Args:
        node: whose health it is; its name is the status's name.
        collect: returns the report; called from the executor.
        period: seconds.
    """

    def __init__(self, node: Node, collect: Callable[[], Report], period: float = 1.0) -> None:
        self._node = node
        self._collect = collect
        self._lock = threading.Lock()
        self._closed = False
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._timer = node.create_timer(period, self.publish, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def publish(self) -> None:
        """Publishes one report now; after `close` it does nothing, since a timer may fire while it is destroyed."""
        with self._lock:
            if not self._closed:
                self._publish(self._collect())

    def _publish(self, report: Report) -> None:
        status = DiagnosticStatus(
            level=report.level, message=report.message, name=self._node.get_fully_qualified_name()
        )
        status.values = [KeyValue(key=key, value=_text(value)) for key, value in report.values.items()]
        message = DiagnosticArray(status=[status])
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(message)

    def close(self) -> None:
        """Stops reporting, and waits for a report in work."""
        with self._lock:
            self._closed = True
        self._node.destroy_timer(self._timer)
        self._node.destroy_publisher(self._publisher)


def _text(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
