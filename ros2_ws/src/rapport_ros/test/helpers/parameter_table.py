"""The parameter tables of the nodes: made from their settings, and read from the package's README.

Prints them: python ros2_ws/src/rapport_ros/test/helpers/parameter_table.py
"""

from __future__ import annotations

from pathlib import Path

from rapport_ros.face_perception_settings import FacePerceptionSettings
from rapport_ros.parameters import ParameterSpec, constraints_text, parameter_specs
from rapport_ros.profile_store_settings import ProfileStoreSettings

README = Path(__file__).resolve().parents[2] / "README.md"
SETTINGS = {"face_perception": FacePerceptionSettings, "profile_store": ProfileStoreSettings}
HEADER = ["| Parameter | Default | Allowed | What it does |", "|---|---|---|---|"]


def expected_rows(node: str) -> list[str]:
    """The lines of one node's table."""
    return HEADER + [_row(spec) for spec in parameter_specs(SETTINGS[node])]


def readme_rows(node: str) -> list[str]:
    """The table that stands under the heading "### Parameters of <node>"."""
    _, _, section = README.read_text(encoding="utf-8").partition(f"### Parameters of {node}\n")
    lines = section.strip().splitlines()
    end = next((index for index, line in enumerate(lines) if not line.startswith("|")), len(lines))
    return lines[:end]


def _row(spec: ParameterSpec) -> str:
    default = list(spec.default) if isinstance(spec.default, tuple) else spec.default
    shown = '""' if default == "" else str(default)
    return f"| `{spec.name}` | `{shown}` | {constraints_text(spec.type)} | {spec.description} |"


if __name__ == "__main__":
    for name in SETTINGS:
        print(f"### Parameters of {name}\n\n" + "\n".join(expected_rows(name)) + "\n")
