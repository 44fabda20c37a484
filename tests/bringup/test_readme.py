"""The README's argument table against the launch file."""

from __future__ import annotations

import ast
import re
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "launch" / "rapport_bringup"


def declared_arguments() -> dict[str, str]:
    """Name to description of each DeclareLaunchArgument, read from the source: launch is not needed for that."""
    tree = ast.parse((PACKAGE / "launch" / "rapport.launch.py").read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    declarations = [call for call in calls if getattr(call.func, "id", "") == "DeclareLaunchArgument"]
    return {
        ast.literal_eval(call.args[0]): next(
            ast.literal_eval(word.value) for word in call.keywords if word.arg == "description"
        )
        for call in declarations
    }


def test_the_table_lists_every_argument_with_its_description():
    readme = (PACKAGE / "README.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| [^|]+ \| (.+) \|$", readme, flags=re.MULTILINE))
    assert list(rows) == list(declared_arguments())
    for name, description in declared_arguments().items():
        assert description.startswith(rows[name].replace("`", "").rstrip(".")), name
