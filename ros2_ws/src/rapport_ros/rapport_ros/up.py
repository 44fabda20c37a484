"""All nodes in one process: what `rapport up` does."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from rapport_edge.errors import SettingsError
from rapport_ros.dialogue_example import DialogueExample
from rapport_ros.face_perception_node import FacePerceptionNode
from rapport_ros.params_file import check_params_file
from rapport_ros.profile_store_node import ProfileStoreNode
from rapport_ros.runner import NodeFactory, NodeGroup, ros_context
from rapport_ros.stop_signals import StopRequest

NODES: dict[str, NodeFactory] = {
    "profile_store": ProfileStoreNode,
    "dialogue_example": DialogueExample,
    "face_perception": FacePerceptionNode,
}


def ros_arguments(params: Path, namespace: str, remaps: Sequence[str]) -> list[str]:
    """What stands behind --ros-args.

    Raises:
        SettingsError: for a remapping that is not FROM:=TO.
    """
    arguments = ["--params-file", str(params)]
    if namespace:
        arguments += ["--remap", f"__ns:=/{namespace.strip('/')}"]
    for remap in remaps:
        if ":=" not in remap:
            raise SettingsError(f"remapping '{remap}' must look like FROM:=TO")
        arguments += ["--remap", remap]
    return arguments


def run_all(params: Path, namespace: str, remaps: Sequence[str], say: Callable[[str], None], stop: StopRequest) -> None:
    """Runs all nodes until `stop` is set, then stops them in order.

    Raises:
        SettingsError: for a parameter file or an argument that ROS cannot use.
        RefusedError: when a node refuses its parameters.
        StoppedError: when `stop` is set before all nodes are ready.
    """
    check_params_file(params, list(NODES))
    arguments = ros_arguments(params, namespace, remaps)
    with ros_context(arguments), NodeGroup(list(NODES.values()), stop):
        say(f"ready in {process_age():.1f} s: {', '.join(NODES)}; Ctrl-C stops")
        stop.wait()
        say("stopping")


def process_age() -> float:
    """Seconds since this process was started, interpreter and imports included (proc(5), field 22 of stat)."""
    since_boot = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
    after_name = Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return since_boot - float(after_name[19]) / os.sysconf("SC_CLK_TCK")
