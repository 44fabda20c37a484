"""Checks a ROS parameter file before it is used; rclpy ignores sections of nodes that do not exist without a word."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from rapport_edge.errors import SettingsError


def check_params_file(path: Path, node_names: Sequence[str]) -> None:
    """Refuses a file that rclpy would misread or ignore.

    Args:
        path: YAML as ROS 2 reads it: node name, `ros__parameters`, values.
        node_names: nodes that will run.

    Raises:
        SettingsError: with the file and what is wrong in it.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"parameter file {path}: {error}") from error
    if not isinstance(content, dict):
        raise SettingsError(f"parameter file {path} has no sections; expected one per node: {', '.join(node_names)}")
    for section, body in content.items():
        _check_section(path, str(section), body, node_names)


def _check_section(path: Path, section: str, body: Any, node_names: Sequence[str]) -> None:
    name = section.rstrip("/").rpartition("/")[2]
    if name not in {*node_names, "*", "**"}:
        raise SettingsError(f"parameter file {path}: no node is called '{section}'; nodes are {', '.join(node_names)}")
    if not isinstance(body, dict) or list(body) != ["ros__parameters"] or not isinstance(body["ros__parameters"], dict):
        raise SettingsError(f"parameter file {path}: '{section}' must hold 'ros__parameters' with values, nothing else")
