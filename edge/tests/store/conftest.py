"""A store with a clock that the test sets, and where its database lies."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from people import FakeClock

from rapport_edge.store import ProfileEvent, ProfileStore

MEMORY = Path("/dev/shm")


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder in memory where there is such a thing: each commit waits for the disk, and a busy disk takes seconds."""
    with tempfile.TemporaryDirectory(prefix="rapport-", dir=MEMORY if MEMORY.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture
def clock() -> FakeClock:
    """The store's clock."""
    return FakeClock()


@pytest.fixture
def events() -> list[ProfileEvent]:
    """What the store told its listener, oldest first."""
    return []


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the store's database will lie, alone with its write-ahead log."""
    return tmp_path / "store" / "profiles.db"


@pytest.fixture
def store(path: Path, clock: FakeClock, events: list[ProfileEvent]) -> Iterator[ProfileStore]:
    """An empty store."""
    with ProfileStore(path, clock=clock, on_event=events.append) as opened:
        yield opened
