"""Starts Rapport: all nodes in one process (mode:=composed), or each in its own with its lifecycle driven from here.

ros2 launch rapport_bringup rapport.launch.py image_topic:=/camera/image_raw
"""

from __future__ import annotations

import os
from importlib.resources import files

from launch import LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    GroupAction,
    RegisterEventHandler,
    SetEnvironmentVariable,
    Shutdown,
)
from launch.conditions import IfCondition
from launch.events import matches_action
from launch.substitutions import EqualsSubstitution, LaunchConfiguration
from launch_ros.actions import LifecycleNode
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from launch_ros.substitutions import ExecutableInPackage
from lifecycle_msgs.msg import Transition

from rapport_ros.dds_profile import use_shared_memory_profile

#: Configured and activated in this order; who listens comes before who speaks.
NODES = ("profile_store", "dialogue_example", "face_perception")


def arguments() -> list[LaunchDescriptionEntity]:
    """What `ros2 launch rapport_bringup rapport.launch.py --show-args` lists."""
    return [
        DeclareLaunchArgument(
            "mode",
            default_value="composed",
            choices=["composed", "separate"],
            description="composed runs all nodes in one process; separate gives each node its own process.",
        ),
        DeclareLaunchArgument("namespace", default_value="", description="Namespace of all nodes, such as robot1."),
        DeclareLaunchArgument(
            "params_file",
            default_value=str(files("rapport_ros") / "config" / "rapport.yaml"),
            description="ROS parameter file of all nodes.",
        ),
        DeclareLaunchArgument(
            "image_topic",
            default_value="image",
            description="The camera's raw image topic; its compressed one is looked for under the same name.",
        ),
        DeclareLaunchArgument(
            "dds_profile",
            default_value=use_shared_memory_profile(dict(os.environ)),
            description="Fast DDS profile; it needs large shared memory, or raw images are lost.",
        ),
    ]


def image_remappings() -> list[tuple[str, list]]:
    """From the names in the code to the camera's, as image_transport names them."""
    topic = LaunchConfiguration("image_topic")
    return [("image", [topic]), ("image/compressed", [topic, "/compressed"])]


def composed() -> ExecuteProcess:
    """One process. Python nodes cannot be loaded into a component container; `rapport up` is theirs."""
    remaps = [[source, ":=", *target] for source, target in image_remappings()]
    return ExecuteProcess(
        cmd=[
            ExecutableInPackage(package="rapport_ros", executable="rapport"),
            "up",
            "--params",
            LaunchConfiguration("params_file"),
            "--namespace",
            LaunchConfiguration("namespace"),
            *(word for remap in remaps for word in ("--remap", remap)),
        ],
        name="rapport",
        output="screen",
        on_exit=Shutdown(reason="rapport ended"),
    )


def separate(name: str) -> list[LaunchDescriptionEntity]:
    """One node in its own process: configured when it is up, activated when that succeeded."""
    node = LifecycleNode(
        package="rapport_ros",
        executable=name,
        name=name,
        namespace=LaunchConfiguration("namespace"),
        parameters=[LaunchConfiguration("params_file")],
        remappings=image_remappings(),
        output="screen",
        on_exit=Shutdown(reason=f"{name} ended"),
    )
    # The handlers come first: a node that configures quickly must not be faster than they are.
    return [
        on_transition(node, "configuring", "inactive", request(node, Transition.TRANSITION_ACTIVATE)),
        on_transition(
            node, "configuring", "unconfigured", Shutdown(reason=f"{name} refused to configure; see its log")
        ),
        on_transition(node, "activating", "inactive", Shutdown(reason=f"{name} refused to activate; see its log")),
        node,
        request(node, Transition.TRANSITION_CONFIGURE),
    ]


def request(node: LifecycleNode, transition: int) -> EmitEvent:
    """Asks a node for a lifecycle transition, as soon as its service is there."""
    return EmitEvent(event=ChangeState(lifecycle_node_matcher=matches_action(node), transition_id=transition))


def on_transition(node: LifecycleNode, start: str, goal: str, action: LaunchDescriptionEntity) -> RegisterEventHandler:
    """Runs an action when the node has gone from one lifecycle state to another."""
    return RegisterEventHandler(
        OnStateTransition(target_lifecycle_node=node, start_state=start, goal_state=goal, entities=[action])
    )


def generate_launch_description() -> LaunchDescription:
    """The launch description; `ros2 launch` calls this."""
    nodes = [entity for name in NODES for entity in separate(name)]
    mode = LaunchConfiguration("mode")
    return LaunchDescription(
        [
            *arguments(),
            SetEnvironmentVariable("FASTRTPS_DEFAULT_PROFILES_FILE", LaunchConfiguration("dds_profile")),
            GroupAction([composed()], condition=IfCondition(EqualsSubstitution(mode, "composed"))),
            GroupAction(nodes, condition=IfCondition(EqualsSubstitution(mode, "separate"))),
        ]
    )
