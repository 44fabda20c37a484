"""The topics of the RViz and Foxglove layouts against those that the nodes publish."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import rclpy
import yaml

from rapport_ros.face_perception_node import FacePerceptionNode
from rapport_ros.profile_store_node import ProfileStoreNode

PACKAGE = Path(__file__).resolve().parents[2] / "launch" / "rapport_bringup"


@pytest.fixture
def topics(tmp_path):
    """Every topic that the nodes publish or read when they are active."""
    rclpy.init(args=["--ros-args", "-p", f"database:={tmp_path / 'profiles.sqlite'}"], domain_id=101)
    nodes = []
    try:
        nodes.append(ProfileStoreNode())
        nodes.append(FacePerceptionNode(parameter_overrides=[], cli_args=[], use_global_arguments=False))
        for node in nodes:
            node.trigger_configure()
            node.trigger_activate()
            assert node.refusal == ""
        names = [node.get_publisher_names_and_types_by_node(node.get_name(), "/") for node in nodes]
        names += [node.get_subscriber_names_and_types_by_node(node.get_name(), "/") for node in nodes]
        yield {name for group in names for name, _ in group}
    finally:
        for node in nodes:
            node.trigger_shutdown()
            node.destroy_node()
        rclpy.shutdown()


def test_layouts_name_topics_that_exist(topics):
    rviz = yaml.safe_load((PACKAGE / "rviz" / "rapport.rviz").read_text())
    shown = {f"/{display['Topic']['Value']}" for display in rviz["Visualization Manager"]["Displays"]}
    foxglove = (PACKAGE / "foxglove" / "rapport.json").read_text()
    assert json.loads(foxglove)["configById"]
    shown |= set(re.findall(r'"(?:imageTopic|topicPath|topicToRender)": "([^"]+)"', foxglove))
    assert shown >= {"/annotated", "/profiles"}
    assert shown <= topics
