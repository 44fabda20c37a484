"""Fixtures that every package's tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with faces, videos and bags; a test that asks for it is skipped where it is absent."""
    folder = Path(os.environ.get("RAPPORT_SHARED", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no test data at {folder}; set RAPPORT_SHARED to the folder that holds it")
    return folder
