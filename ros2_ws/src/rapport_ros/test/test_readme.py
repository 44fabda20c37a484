"""The package's README against the nodes."""

from __future__ import annotations

import pytest
from parameter_table import SETTINGS, expected_rows, readme_rows


@pytest.mark.parametrize("node", SETTINGS)
def test_the_parameter_tables_are_those_of_the_nodes(node):
    assert readme_rows(node) == expected_rows(node), "print them: python test/helpers/parameter_table.py"


@pytest.mark.parametrize("node", SETTINGS)
def test_every_parameter_is_described(node):
    assert [row for row in expected_rows(node) if row.endswith("|  |")] == []
