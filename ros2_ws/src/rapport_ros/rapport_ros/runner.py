"""Runs nodes: one alone, or several in one process with their lifecycle driven."""

from __future__ import annotations

import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import rclpy
from rclpy._rclpy_pybind11 import RCLError
from rclpy.exceptions import InvalidHandle
from rclpy.executors import Executor, ExternalShutdownException, MultiThreadedExecutor, ShutdownException
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from rclpy.logging import get_logger
from rclpy.signals import SignalHandlerOptions

from rapport_edge.errors import RapportError, SettingsError
from rapport_ros.dds_profile import use_shared_memory_profile

NodeFactory = Callable[[], LifecycleNode]


class RefusedError(RapportError):
    """A node refused to configure or activate; the message names the node and its reason."""


class NodeGroup:
    """Nodes in one process, spun by one multi-threaded executor. rclpy must be initialised before it is entered.

    Args:
        factories: make the nodes; they are started in this order and stopped in reverse.
    """

    def __init__(self, factories: Sequence[NodeFactory]) -> None:
        self._factories = factories
        self._nodes: list[LifecycleNode] = []
        self._closing = threading.Event()

    @property
    def nodes(self) -> list[LifecycleNode]:
        """The nodes that run."""
        return list(self._nodes)

    def __enter__(self) -> NodeGroup:
        """Creates, configures and activates all nodes.

        Raises:
            RefusedError: after everything that had been started was stopped again.
        """
        self._executor = MultiThreadedExecutor(num_threads=4)
        self._thread = threading.Thread(
            target=spin_until, args=(self._closing, self._executor), name="executor", daemon=True
        )
        try:
            for factory in self._factories:
                node = factory()
                self._nodes.append(node)
                self._executor.add_node(node)
            self._thread.start()
            for node in self._nodes:
                _require(node, "configure", node.trigger_configure)
            for node in self._nodes:
                _require(node, "activate", node.trigger_activate)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Deactivates, cleans up and destroys all nodes."""
        self._close()

    def _close(self) -> None:
        for node in reversed(self._nodes):
            node.trigger_shutdown()
        self._closing.set()
        self._executor.shutdown(timeout_sec=5.0)
        if self._thread.is_alive():
            self._thread.join(5.0)
        for node in self._nodes:
            node.destroy_node()
        self._nodes.clear()


def spin_until(stop: threading.Event, executor: Executor) -> None:
    """Spins until the event is set or rclpy is shut down; a callback that fails is logged, and the others go on."""
    while rclpy.ok() and not stop.is_set():
        try:
            executor.spin_once(timeout_sec=0.2)
        except InvalidHandle:
            continue  # a subscription or timer was destroyed between its wake-up and its callback
        except (ExternalShutdownException, ShutdownException):
            return
        except Exception:  # noqa: BLE001 - one mistake in a callback must not silence the whole robot
            get_logger("rapport").error(f"a callback failed:\n{traceback.format_exc()}")


def _require(node: LifecycleNode, transition: str, trigger: Callable[[], TransitionCallbackReturn]) -> None:
    if trigger() != TransitionCallbackReturn.SUCCESS:
        raise RefusedError(f"{node.get_name()} refused to {transition}: {getattr(node, 'refusal', 'see its log')}")


@contextmanager
def ros_context(ros_arguments: Sequence[str]) -> Iterator[None]:
    """rclpy, initialised with the shared-memory profile and without its own signal handlers.

    Raises:
        SettingsError: for arguments that ROS refuses, or a parameter file that is YAML but not as its parser wants it.
    """
    use_shared_memory_profile()
    arguments = ["--ros-args", *ros_arguments]
    try:
        rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    except RCLError as error:
        raise SettingsError(str(error)) from error
    try:
        yield
    finally:
        rclpy.try_shutdown()


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set; the handlers before it are put back."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_node(factory: NodeFactory) -> None:
    """Spins one node with the process's own ROS arguments until a signal; launch drives its lifecycle."""
    use_shared_memory_profile()
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = factory()
    executor = MultiThreadedExecutor(num_threads=4)
    executor.add_node(node)
    with stop_signals() as stop:
        spin_until(stop, executor)
    node.trigger_shutdown()
    executor.shutdown(timeout_sec=5.0)
    node.destroy_node()
    rclpy.try_shutdown()
