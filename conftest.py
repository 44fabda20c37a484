"""Fixtures that every package's tests share."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

# Every run tries the same examples, and a busy machine fails no test for being slow.
hypothesis.settings.register_profile("rapport", deadline=None, derandomize=True)
hypothesis.settings.load_profile("rapport")

ROOT = Path(__file__).resolve().parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with faces, videos and bags; a test that asks for it is skipped where it is absent."""
    folder = Path(os.environ.get("RAPPORT_SHARED", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no test data at {folder}; set RAPPORT_SHARED to the folder that holds it")
    return folder
