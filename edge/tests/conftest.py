"""Fixtures of rapport_edge's tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_bundle import write_tiny

from rapport_edge.bundle import Bundle


@pytest.fixture
def tiny_bundle(tmp_path: Path) -> Bundle:
    """A freshly written bundle with a random encoder and heads for gender and age; the test may damage it."""
    return write_tiny(tmp_path / "tiny")
