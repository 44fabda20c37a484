"""The parameter file that every way of starting uses, against what the nodes declare."""

from __future__ import annotations

import pytest
import yaml

from rapport_ros.cli import DEFAULT_PARAMETERS
from rapport_ros.face_perception_settings import FacePerceptionSettings
from rapport_ros.parameters import parameter_specs
from rapport_ros.profile_store_settings import ProfileStoreSettings

SETTINGS = {"face_perception": FacePerceptionSettings, "profile_store": ProfileStoreSettings}


def flat(values: dict, prefix: str = "") -> dict:
    """{"image": {"topic": 1}} as {"image.topic": 1}, as ROS 2 reads it."""
    found = {}
    for name, value in values.items():
        found.update(flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value})
    return found


SECTIONS = yaml.safe_load(DEFAULT_PARAMETERS.read_text())


@pytest.mark.parametrize("section", list(SECTIONS))
def test_every_parameter_of_the_file_is_declared(section):
    declared = {spec.name for spec in parameter_specs(SETTINGS[section.rpartition("/")[2]])}
    assert set(flat(SECTIONS[section]["ros__parameters"])) <= declared
