"""Live ROS for tests: a DDS domain of their own, an executor in a thread, and waiting with a deadline."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import rclpy
from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node

from rapport_ros.dds_profile import use_shared_memory_profile
from rapport_ros.runner import spin_until


class Graph:
    """Nodes of one test, spun in a thread."""

    def __init__(self) -> None:
        self.executor = MultiThreadedExecutor(num_threads=4)
        self.nodes: list[Node] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=spin_until, args=(self._stop, self.executor), daemon=True)
        self._thread.start()

    def add(self, node: Any) -> Any:
        """Spins a node until the test ends."""
        self.nodes.append(node)
        self.executor.add_node(node)
        return node

    def collect(self, node: Node, message_type: type, topic: str, qos: Any) -> list[Any]:
        """A list that grows with each message on a topic."""
        received: list[Any] = []
        node.create_subscription(message_type, topic, received.append, qos)
        return received

    def wait_for(self, condition: Callable[[], Any], what: str, timeout: float = 45.0) -> Any:
        """The first true value of the condition; fails the test at the deadline, saying what it waited for."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            value = condition()
            if value:
                return value
            time.sleep(0.02)
        raise AssertionError(f"waited {timeout:.0f} s in vain for {what}")

    def close(self) -> None:
        for node in self.nodes:
            if hasattr(node, "trigger_shutdown") and node._state_machine.current_state[1] != "finalized":
                node.trigger_shutdown()
        self._stop.set()
        self._thread.join(5.0)
        self.executor.shutdown(timeout_sec=5.0)
        for node in self.nodes:
            node.destroy_node()


@pytest.fixture(scope="session", autouse=True)
def own_domain() -> Iterator[int]:
    """A domain id that no other test run on this machine is likely to use; below 102, whose ports are free on Linux."""
    before = os.environ.get("ROS_DOMAIN_ID")
    domain = 1 + os.getpid() % 100
    os.environ["ROS_DOMAIN_ID"] = str(domain)
    use_shared_memory_profile()
    yield domain
    if before is None:
        del os.environ["ROS_DOMAIN_ID"]
    else:
        os.environ["ROS_DOMAIN_ID"] = before


@pytest.fixture
def graph(own_domain: int) -> Iterator[Graph]:
    """rclpy and a graph of nodes for one test."""
    rclpy.init()
    live = Graph()
    yield live
    live.close()
    rclpy.try_shutdown()
