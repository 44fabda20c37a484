"""Killed at every step: nothing that was acknowledged is lost, and the next writer goes on."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from centres import LAYOUT

from rapport_edge.representation import EmbeddedCentre, EmbeddedReader, authority, forward
from rapport_edge.representation.reader import AUTHORITY

BATCH = 20
#: Whose calls are counted: everything that touches the disk.
STEPS = (
    "authority.py",
    "authority_connection.py",
    "embedded.py",
    "publication.py",
    "realtime.py",
    "table_file.py",
    "atomic.py",
    "store/connection.py",
)

pytestmark = pytest.mark.slow


@pytest.fixture
def tmp_path(memory_folder: Path) -> Path:
    """In memory: what a killed process wrote is there without the disk."""
    return memory_folder


def vector(item: str) -> np.ndarray:
    return int(item) + np.arange(4.0, dtype=np.float32)


def write(folder: Path, run: int, say: Callable[[str], None]) -> None:
    """Two windows; says what it was told is done."""
    centre = EmbeddedCentre(folder, LAYOUT)
    for number in range(2):
        ids = [str(run * 1000 + number * BATCH + k) for k in range(BATCH)]
        centre.put(ids, [vector(item) for item in ids], ids)
        say("put " + " ".join(ids))
        say(f"published {centre.publish()}")
    centre.close()


def killed_at(work: Callable[[Callable[[str], None]], None], call: int) -> tuple[list[str], bool]:
    """What a process acknowledged that was killed at its n-th call of or return from this package's functions."""
    receiving, sending = os.pipe()
    process = os.fork()
    if process == 0:  # never returns into the test
        count = 0

        def hook(frame, event, _):
            nonlocal count
            code = frame.f_code
            # Generators return once for every row, so that their returns would grow with the table.
            if event in {"call", "return"} and code.co_name[0] != "<" and code.co_filename.endswith(STEPS):
                count += 1
                if count == call:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            sys.setprofile(hook)
            work(lambda line: os.write(sending, line.encode() + b"\n"))
        finally:
            os._exit(0)
    os.close(sending)
    with os.fdopen(receiving) as lines:
        said = lines.read().splitlines()
    return said, os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -signal.SIGKILL


def check(folder: Path, acknowledged: set[str], version: int) -> None:
    """A reader sees everything at once, and a new writer publishes it."""
    if not acknowledged and not (folder / AUTHORITY).exists():
        return
    ids = sorted(acknowledged)
    if ids:
        reader = EmbeddedReader(folder)
        rows = reader.lookup(ids)
        assert rows.found.all()
        assert (rows.vectors == [vector(item) for item in ids]).all()
        assert reader.counts().version >= version
        reader.close()
    centre = EmbeddedCentre(folder, LAYOUT)
    centre.publish()
    assert centre.counts().pending == 0
    assert centre.table.lookup(ids).found.all()
    assert list(centre.windows().values()).count("open") == 1
    assert "closed" not in centre.windows().values()
    centre.close()
    names = {path.name for path in folder.iterdir()}
    assert len([name for name in names if name.startswith("table-")]) <= 2
    assert not [name for name in names if name.startswith(".table")]


def test_killed_at_every_few_calls(tmp_path):
    acknowledged, version, points, alive = set(), 0, 0, False
    rng = random.Random(1)
    call = 1
    while not alive:
        said, killed = killed_at(partial(write, tmp_path, points + 1), call)
        for line in said:
            what, *words = line.split()
            if what == "put":
                acknowledged |= set(words)
            else:
                version = int(words[0])
        check(tmp_path, acknowledged, version)
        alive = not killed
        points, call = points + 1, call + rng.randint(2, 8)
    assert points > 60
    assert len(acknowledged) > 400


def test_a_delivery_killed_at_every_few_calls_is_taken_in_once(tmp_path, monkeypatch):
    monkeypatch.setattr(authority, "_BLOCK", 4)
    ids = [str(number) for number in range(15)]
    with closing(EmbeddedCentre(tmp_path / "source", LAYOUT)) as source:
        for item in ids:
            source.put([item], [vector(item)], [item])
            source.publish()
        source.put(ids[:5], [vector(item) + 1 for item in ids[:5]], ids[:5])
        source.publish()

    def deliver(say: Callable[[str], None]) -> None:
        with (
            closing(EmbeddedCentre(tmp_path / "source", LAYOUT)) as source,
            closing(EmbeddedCentre(target, LAYOUT)) as fleet,
        ):
            forward(source, fleet, target.name)

    alive, call, rng = False, 1, random.Random(2)
    while not alive:
        target = tmp_path / f"fleet {call}"
        alive = not killed_at(deliver, call)[1]
        deliver(print)
        with closing(EmbeddedReader(target)) as fleet:
            rows = fleet.lookup(ids)
            assert rows.found.all()
            assert (rows.vectors == [vector(item) + (int(item) < 5) for item in ids]).all()
            assert fleet.counts()[:2] == (len(ids), 0)
        call += rng.randint(6, 16)
    assert call > 100


WRITER = """
import sys
from pathlib import Path
sys.path += [sys.argv[2], sys.argv[2] + "/../helpers"]
import test_sudden_death
for run in range(1, 10**6):
    test_sudden_death.write(Path(sys.argv[1]), int(sys.argv[3]) * 1000 + run, lambda line: print(line, flush=True))
"""


def test_killed_at_any_time(tmp_path):
    """As above, but between two instructions of C, too."""
    acknowledged, version, rng = set(), 0, random.Random(0)
    for run in range(4):
        command = [sys.executable, "-c", WRITER, str(tmp_path), str(Path(__file__).parent), str(run)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            lines = [writer.stdout.readline() for _ in range(4)]  # one run, however slow the machine is
            killer = threading.Timer(rng.uniform(0.01, 0.5), writer.kill)
            killer.start()
            lines += writer.stdout
        for line in lines:
            what, *words = line.split()
            if what == "put" and line.endswith("\n"):
                acknowledged |= set(words)
            elif line.endswith("\n"):
                version = int(words[0])
        check(tmp_path, acknowledged, version)
    assert len(acknowledged) > 100
