"""A robot's store on a real file, and the person manager over it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from house import House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path / "profiles.sqlite")
    yield made
    made.store.close()
