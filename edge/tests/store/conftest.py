"""A store with a clock that the test sets, and where its database lies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from people import FakeClock

from rapport_edge.store import ProfileEvent, ProfileStore


@pytest.fixture
def tmp_path(memory_folder: Path) -> Path:
    """In memory, as nearly every test commits."""
    return memory_folder


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
