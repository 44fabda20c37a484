"""kill -9 in the middle of writes: nothing acknowledged is lost, and the file opens."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rapport_edge.store import Consent, ProfileStore

WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from people import estimate
from rapport_edge.store import Consent, ProfileStore

with ProfileStore(Path(sys.argv[1])) as store:
    for number in range(10**6):
        user_id = f"run{sys.argv[2]}_{number}"
        store.observe(user_id, estimate(seed=number), "e1")
        store.set_consent(user_id, Consent.GRANTED, "self")
        print("granted", user_id, flush=True)
        if number % 3 == 2:
            print("forgetting", user_id, flush=True)
            store.forget(user_id, "self")
            print("forgotten", user_id, flush=True)
"""


def _write_until_killed(path: Path, run: int, seconds: float) -> list[str]:
    """Acknowledged lines of a writer that was killed some time after its first one."""
    helpers = Path(__file__).parents[1] / "helpers"
    command = [sys.executable, "-c", WRITER, str(path), str(run), str(helpers)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        first = writer.stdout.readline()
        killer = threading.Timer(seconds, writer.kill)
        killer.start()
        lines = [first, *writer.stdout]
        killer.cancel()
    assert writer.returncode == -9
    return [line.strip() for line in lines if line.endswith("\n")]


@pytest.mark.slow
def test_nothing_acknowledged_is_lost(tmp_path):
    path, rng = tmp_path / "profiles.db", random.Random(0)
    users = {"granted": set(), "forgetting": set(), "forgotten": set()}
    for run in range(5):
        for line in _write_until_killed(path, run, rng.uniform(0.01, 0.6)):
            what, user_id = line.split()
            users[what].add(user_id)
        with ProfileStore(path) as store:
            assert store.check() == []
            for user_id in users["granted"] - users["forgetting"]:
                profile = store.get(user_id)
                assert profile.consent is Consent.GRANTED
                assert len(profile.demographics) == 2
            assert [user_id for user_id in users["forgotten"] if store.find(user_id) is not None] == []
    assert len(users["granted"]) >= 5
