"""Fixtures of rapport_edge's tests."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_bundle import write_tiny

from rapport_edge.bundle import Bundle

MEMORY = Path("/dev/shm")


@pytest.fixture
def memory_folder() -> Iterator[Path]:
    """A folder in memory where there is such a thing: each commit waits for the disk, and a busy disk takes seconds."""
    with tempfile.TemporaryDirectory(prefix="rapport-", dir=MEMORY if MEMORY.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture
def tiny_bundle(tmp_path: Path) -> Bundle:
    """A freshly written bundle with a random encoder and heads for gender and age; the test may damage it."""
    return write_tiny(tmp_path / "tiny")
