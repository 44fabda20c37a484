"""The launch file with the real launch and launch_ros; they come with a ROS 2 installation only."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

launch = pytest.importorskip("launch", reason="launch comes with a ROS 2 installation, no package index has it")
launch_ros_actions = pytest.importorskip("launch_ros.actions", reason="launch_ros comes with a ROS 2 installation")

LAUNCH_FILE = Path(__file__).resolve().parents[2] / "launch" / "rapport_bringup" / "launch" / "rapport.launch.py"


@pytest.fixture(scope="module")
def launch_file():
    spec = spec_from_file_location("rapport_launch", LAUNCH_FILE)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def performed(launch_file, **configurations: str):
    """The context after the arguments are declared, and the actions of the chosen mode."""
    context = launch.LaunchContext()
    context.launch_configurations.update(configurations)
    *declarations, environment, composed, separate = launch_file.generate_launch_description().entities
    for action in [*declarations, environment]:
        action.visit(context)
    chosen = [group for group in (composed, separate) if group.condition is None or group.condition.evaluate(context)]
    return context, [entity for group in chosen for entity in group.get_sub_entities()]


def test_composed_runs_one_process(launch_file):
    _, entities = performed(launch_file)
    assert [type(entity) for entity in entities if hasattr(entity, "cmd")] == [launch.actions.ExecuteProcess]


def test_separate_runs_every_node_with_its_lifecycle(launch_file):
    _, entities = performed(launch_file, mode="separate")
    nodes = [entity for entity in entities if isinstance(entity, launch_ros_actions.LifecycleNode)]
    assert [node.node_executable for node in nodes] == list(launch_file.NODES)


def test_an_unknown_mode_is_refused(launch_file):
    with pytest.raises(RuntimeError, match="composed"):
        performed(launch_file, mode="both")


def test_processes_get_the_profile_with_large_shared_memory(launch_file, monkeypatch):
    monkeypatch.delenv("FASTRTPS_DEFAULT_PROFILES_FILE", raising=False)
    monkeypatch.delenv("FASTDDS_DEFAULT_PROFILES_FILE", raising=False)
    context, _ = performed(launch_file)
    assert "<segment_size>67108864<" in Path(context.environment["FASTRTPS_DEFAULT_PROFILES_FILE"]).read_text()


def test_a_profile_of_the_user_is_kept(launch_file, monkeypatch):
    monkeypatch.setenv("FASTRTPS_DEFAULT_PROFILES_FILE", "own.xml")
    context, _ = performed(launch_file)
    assert context.environment["FASTRTPS_DEFAULT_PROFILES_FILE"] == "own.xml"
