"""Fixtures that every package's tests share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import hypothesis
import pytest

# Every run tries the same examples, and a busy machine fails no test for being slow.
hypothesis.settings.register_profile(
    "rapport", deadline=None, derandomize=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("rapport")

ROOT = Path(__file__).resolve().parent

#: Their nodes share a machine's DDS domains, of which each run takes one by its process id.
LIVE = ("ros2_ws/", "tests/")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `-n`: the tests of a file stay in one process, with what they share, and so do all that start nodes."""
    from xdist.scheduler import LoadFileScheduling

    class FilesApart(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "live" if nodeid.startswith(LIVE) else super()._split_scope(nodeid)

        def remove_node(self, node: Any) -> str | None:
            """Fails a test that ended its process once; xdist would give it to the next process, and the next."""
            files = self.assigned_work.get(node, {}).values()
            ended = next((test for tests in files for test, done in tests.items() if not done), None)
            for tests in files:
                if ended in tests:
                    tests[ended] = True
            super().remove_node(node)
            return ended

    return FilesApart(config, log)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with faces, videos and bags; a test that asks for it is skipped where it is absent."""
    folder = Path(os.environ.get("RAPPORT_SHARED", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no test data at {folder}; set RAPPORT_SHARED to the folder that holds it")
    return folder
