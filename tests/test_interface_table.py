"""The interface tables in the READMEs against the files of rapport_msgs, and the files against the built package."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from interface_table import rows_from_files, rows_from_readme

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("readme", ["msgs/rapport_msgs/README.md", "README.md"])
def test_the_readme_shows_every_interface_as_it_is(readme):
    path = ROOT / readme
    if not path.exists():
        pytest.skip(f"{readme} is not written yet")
    assert rows_from_readme(path) == rows_from_files(), "print it: python tests/helpers/interface_table.py"


@pytest.mark.parametrize("row", rows_from_files(), ids=lambda row: row.name)
def test_the_built_package_has_the_fields_of_the_files(row):
    folder = {"message": "msg", "service": "srv", "action": "action"}[row.kind]
    built = getattr(importlib.import_module(f"rapport_msgs.{folder}"), row.name)
    parts = {"message": [""], "service": ["Request", "Response"], "action": ["Goal", "Result", "Feedback"]}[row.kind]
    types = [getattr(built, part) if part else built for part in parts]
    assert [", ".join(kind.get_fields_and_field_types()) for kind in types] == row.fields.split(" → ")


def test_every_file_is_listed_in_the_build():
    listed = (ROOT / "msgs/rapport_msgs/CMakeLists.txt").read_text(encoding="utf-8")
    suffixes = {"message": "msg", "service": "srv", "action": "action"}
    for row in rows_from_files():
        assert f'"{suffixes[row.kind]}/{row.name}.{suffixes[row.kind]}"' in listed
