"""Runs nodes: one alone, or several in one process with their lifecycle driven."""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import rclpy
from rclpy._rclpy_pybind11 import RCLError, UnknownROSArgsError
from rclpy.exceptions import InvalidHandle
from rclpy.executors import Executor, ExternalShutdownException, MultiThreadedExecutor, ShutdownException
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from rclpy.logging import get_logger
from rclpy.signals import SignalHandlerOptions

from rapport_edge.errors import RapportError, SettingsError
from rapport_ros.dds_profile import use_shared_memory_profile
from rapport_ros.stop_signals import StoppedError, StopRequest, stop_signals

NodeFactory = Callable[[], LifecycleNode]

#: The last domain whose ports are below 65536.
HIGHEST_DOMAIN = 232


class RefusedError(RapportError):
    """A node refused to configure or activate; the message names the node and its reason."""


class NodeGroup:
    """Nodes in one process, spun by one multi-threaded executor. rclpy must be initialised before it is entered.

    Args:
        factories: make the nodes; they are started in this order and stopped in reverse.
        stop: looked at before each step of the start; None where nobody stops it.
    """

    def __init__(self, factories: Sequence[NodeFactory], stop: StopRequest | None = None) -> None:
        self._factories = factories
        self._stop = StopRequest() if stop is None else stop
        self._nodes: list[LifecycleNode] = []
        self._closing = threading.Event()

    @property
    def nodes(self) -> list[LifecycleNode]:
        """The nodes that run."""
        return list(self._nodes)

    def __enter__(self) -> NodeGroup:
        """Creates, configures and activates all nodes.

        Raises:
            RefusedError, SettingsError, StoppedError: after everything that had been started was stopped again.
        """
        self._executor = MultiThreadedExecutor(num_threads=4)
        self._thread = threading.Thread(
            target=spin_until, args=(self._closing, self._executor), name="executor", daemon=True
        )
        try:
            for factory in self._factories:
                self._go_on()
                node = create(factory)
                self._nodes.append(node)
                self._executor.add_node(node)
            self._thread.start()
            for node in self._nodes:
                self._require(node, "configure", node.trigger_configure)
            for node in self._nodes:
                self._require(node, "activate", node.trigger_activate)
            self._go_on()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Deactivates, cleans up and destroys all nodes."""
        self._close()

    def _go_on(self) -> None:
        if self._stop.is_set():
            raise StoppedError(f"stopped by {self._stop.name} before all nodes were ready")

    def _require(self, node: LifecycleNode, transition: str, trigger: Callable[[], TransitionCallbackReturn]) -> None:
        self._go_on()
        if trigger() != TransitionCallbackReturn.SUCCESS:
            raise RefusedError(f"{node.get_name()} refused to {transition}: {getattr(node, 'refusal', 'see its log')}")

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


def create(factory: NodeFactory) -> LifecycleNode:
    """A new node.

    Raises:
        SettingsError: where ROS refuses its name, its namespace or its domain.
    """
    with _refusals_of_ros():
        return factory()


@contextmanager
def ros_context(ros_arguments: Sequence[str] | None) -> Iterator[None]:
    """rclpy, initialised with the shared-memory profile and without its own signal handlers.

    Args:
        ros_arguments: what stands behind --ros-args; None takes the process's own command line.

    Raises:
        SettingsError: for arguments that ROS refuses, or a parameter file that is YAML but not as its parser wants it.
    """
    use_shared_memory_profile()
    _check_domain(os.environ.get("ROS_DOMAIN_ID", ""))
    arguments = None if ros_arguments is None else ["--ros-args", *ros_arguments]
    with _refusals_of_ros():
        rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    try:
        yield
    finally:
        rclpy.try_shutdown()


@contextmanager
def _refusals_of_ros() -> Iterator[None]:
    try:
        yield
    except UnknownROSArgsError as error:
        raise SettingsError(f"ROS knows no such arguments: {error}") from error
    except RCLError as error:
        raise SettingsError(str(error)) from error


def _check_domain(domain: str) -> None:
    """Fast DDS ends the whole process at a domain whose ports do not exist; words that are no number rcl refuses."""
    if domain.isdecimal() and int(domain) > HIGHEST_DOMAIN:
        raise SettingsError(f"ROS_DOMAIN_ID is {domain}; it must be from 0 to {HIGHEST_DOMAIN}")


def run_node(factory: NodeFactory) -> None:
    """Spins one node with the process's own ROS arguments until a signal; launch drives its lifecycle.

    What ROS refuses ends the process with one line on standard error and exit status 2.
    """
    try:
        with stop_signals() as stop, ros_context(None):
            _spin_alone(create(factory), stop)
    except RapportError as error:
        print(f"{Path(sys.argv[0]).stem}: {error}", file=sys.stderr)
        sys.exit(2)


def _spin_alone(node: LifecycleNode, stop: StopRequest) -> None:
    executor = MultiThreadedExecutor(num_threads=4)
    executor.add_node(node)
    spin_until(stop, executor)
    node.trigger_shutdown()
    executor.shutdown(timeout_sec=5.0)
    node.destroy_node()
