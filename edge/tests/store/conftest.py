"""Where the store's tests keep their databases."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder in memory where there is such a thing: each commit waits for the disk, and a busy disk takes seconds."""
    with tempfile.TemporaryDirectory(prefix="rapport-", dir=MEMORY if MEMORY.is_dir() else None) as folder:
        yield Path(folder)
