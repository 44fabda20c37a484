"""What operators do to a folder: restore, lose, copy, lock; and what a fork does to an open centre."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from centres import LAYOUT

from rapport_edge import atomic
from rapport_edge.representation import CentreError, EmbeddedCentre, EmbeddedReader
from rapport_edge.representation.reader import AUTHORITY
from rapport_edge.store.errors import StoreBusyError

ONE = np.arange(4.0)


def put(centre: EmbeddedCentre, *ids: str) -> None:
    centre.put(ids, [ONE + 1] * len(ids), ids)


def in_child(action: Callable[[], object]) -> int:
    """Exit status of a forked child that does something: 0, 1 after an exception, minus a signal's number."""
    process = os.fork()
    if process == 0:
        status = 1
        try:
            action()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


@pytest.mark.parametrize("kept", [True, False], ids=["restored", "lost"])
def test_an_authority_older_than_its_table_hides_nothing_that_is_put(tmp_path, kept):
    backup = tmp_path / "backup.db"
    folder = tmp_path / "centre"
    with_backup = EmbeddedCentre(folder, LAYOUT)
    put(with_backup, "old")
    with_backup.publish()
    with_backup.close()
    shutil.copy(folder / AUTHORITY, backup)
    centre = EmbeddedCentre(folder, LAYOUT)
    for item in ("b", "c", "d"):
        put(centre, item)
        version = centre.publish()
    centre.close()
    (folder / AUTHORITY).unlink()
    if kept:
        shutil.copy(backup, folder / AUTHORITY)
    centre = EmbeddedCentre(folder, LAYOUT)
    put(centre, "new")
    reader = EmbeddedReader(folder)
    assert reader.lookup(["new", "old", "b"]).found.tolist() == [True, kept, False]
    assert centre.counts().pending == 1
    assert centre.publish() > version
    assert reader.table.lookup(["new"]).found.all()
    reader.close()
    centre.close()


READER = """
import os, sys
from pathlib import Path
from rapport_edge.errors import RapportError
from rapport_edge.representation import open_centre
os.setgid(65534), os.setuid(65534)
for line in sys.stdin:
    try:
        centre = centre if line.startswith("again") else open_centre(Path(sys.argv[1]))
        print(*centre.lookup(["a", "b", "c"]).found.tolist(), flush=True)
    except RapportError as error:
        print(error, flush=True)
"""


@pytest.fixture
def readable_files() -> Iterator[None]:
    """What is written may be read by others, whatever the umask of who runs the tests."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs two users, so root")
def test_a_user_who_may_only_read_reads(memory_folder, readable_files):
    """Also with no writer, when SQLite's files beside the database are gone and this user cannot make them."""
    memory_folder.chmod(0o755)
    folder = memory_folder / "centre"
    centre = EmbeddedCentre(folder, LAYOUT)
    put(centre, "a")
    centre.publish()
    put(centre, "b")
    centre.close()
    command = [sys.executable, "-c", READER, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reader:

        def ask(question: str) -> str:
            reader.stdin.write(question + "\n")
            reader.stdin.flush()
            return reader.stdout.readline().strip()

        assert ask("open") == "True True False"
        centre = EmbeddedCentre(folder, LAYOUT)
        put(centre, "c")
        assert ask("again") == "True True True"
        assert ask("open") == "True True True"
        centre.close()
        assert ask("again") == "True True True"
        (folder / "table-00000001.rows").chmod(0o600)
        assert "Permission denied; check owner" in ask("open")
        folder.chmod(0o700)
        assert "Permission denied; check owner" in ask("open")
        reader.stdin.close()


def test_a_reader_without_files_left_keeps_its_version(tmp_path, caplog):
    resource = pytest.importorskip("resource")
    centre = EmbeddedCentre(tmp_path, LAYOUT)
    put(centre, "a")
    centre.publish()
    reader = EmbeddedReader(tmp_path)
    put(centre, "b")
    centre.publish()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        version = reader.table.header.version
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert version == 1
    assert "Too many open files" in caplog.text
    assert reader.lookup(["a", "b"]).found.all()
    reader.close()
    centre.close()


def test_killed_while_naming_a_version_leaves_no_litter(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, "write_synced", lambda *_: os.kill(os.getpid(), signal.SIGKILL))

    def publish() -> None:
        centre = EmbeddedCentre(tmp_path, LAYOUT)
        put(centre, "a")
        centre.publish()

    assert in_child(publish) == -signal.SIGKILL
    assert list(tmp_path.glob(".current*"))
    monkeypatch.undo()
    centre = EmbeddedCentre(tmp_path, LAYOUT)
    centre.publish()
    centre.close()
    assert not list(tmp_path.glob(".*"))


def test_a_forked_child_reads_with_a_connection_and_a_lock_of_its_own(tmp_path):
    centre = EmbeddedCentre(tmp_path, LAYOUT)
    put(centre, "a")
    reader = EmbeddedReader(tmp_path)
    inherited = reader._authority._db

    def look() -> None:
        assert reader.lookup(["a"]).found.all()
        assert reader._authority._db is not inherited
        reader.close()

    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with reader._lock:
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    process = os.fork()
    if process == 0:
        status = 1
        try:
            signal.alarm(10)
            look()
            status = 0
        finally:
            os._exit(status)
    done.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
    put(centre, "b")
    assert reader.lookup(["a", "b"]).found.all()
    reader.close()
    centre.close()


def test_a_forked_child_does_not_write(tmp_path):
    centre = EmbeddedCentre(tmp_path, LAYOUT)

    def write() -> None:
        with pytest.raises(CentreError, match="before this process was forked"):
            put(centre, "a")
        centre.close()

    assert in_child(write) == 0
    put(centre, "a")
    with pytest.raises(StoreBusyError, match="owned by process"):
        EmbeddedCentre(tmp_path, LAYOUT)
    centre.close()


def test_a_child_that_outlives_the_writer_keeps_nobody_out(tmp_path):
    centre = EmbeddedCentre(tmp_path, LAYOUT)
    told, tell = os.pipe()
    process = os.fork()
    if process == 0:
        os.write(tell, b"alive")
        time.sleep(600)
        os._exit(0)
    try:
        assert os.read(told, 5) == b"alive"  # and has let go of what it inherited
        # As the kernel does for a parent that was killed: its descriptor goes, and nobody says goodbye.
        os.close(centre._ownership._fd)
        centre._ownership._fd = -1
        EmbeddedCentre(tmp_path, LAYOUT).close()
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(told)
        os.close(tell)
        centre.close()
