"""A parameter file with some values replaced, for one run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from rapport_ros.params_file import check_params_file
from rapport_ros.up import NODES

#: Node name to parameters.
Overrides = Mapping[str, Mapping[str, Any]]


def write_parameters(base: Path, overrides: Overrides, target: Path) -> None:
    """Writes a copy of a ROS parameter file in which the overrides come last, so that they win.

    Raises:
        SettingsError: if the base is not a parameter file of these nodes.
    """
    check_params_file(base, list(NODES))
    content: dict[str, Any] = yaml.safe_load(base.read_text(encoding="utf-8"))
    for node, values in overrides.items():
        section = f"/**/{node}"
        given = content.pop(section, {"ros__parameters": {}})["ros__parameters"]
        content[section] = {"ros__parameters": {**_flat(given), **values}}
    target.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested parameters by their dotted names, so that an override meets the value it replaces."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{prefix}{name}."))
        else:
            flat[f"{prefix}{name}"] = value
    return flat
