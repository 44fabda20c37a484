"""What a killed process leaves behind goes with the next write to the same path, and nothing else does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rapport_edge import atomic
from rapport_edge.atomic import replace_folder, scratch_beside, write_atomically

#: Holds a scratch folder with something in it, says so, and waits.
HOLDER = """
import sys, time
from pathlib import Path
from rapport_edge.atomic import scratch_beside
with scratch_beside(Path(sys.argv[1])) as scratch:
    (scratch / "part").mkdir()
    (scratch / "part" / "file").write_text("half")
    print(scratch, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Another process that writes to tmp_path / "out", and its scratch folder."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process, Path(process.stdout.readline().strip())
        process.kill()


def hidden(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


def test_what_a_killed_process_left_is_removed(tmp_path, holder):
    process, scratch = holder
    process.kill()
    process.wait()
    assert (scratch / "part" / "file").read_text() == "half"
    write_atomically(tmp_path / "another", b"x")
    assert hidden(tmp_path) == [scratch.name]
    write_atomically(tmp_path / "out", b"whole")
    assert hidden(tmp_path) == []
    assert (tmp_path / "out").read_bytes() == b"whole"


def test_what_a_living_process_writes_to_is_let_be(tmp_path, holder):
    _, scratch = holder
    with scratch_beside(tmp_path / "out") as own:
        assert hidden(tmp_path) == sorted([scratch.name, own.name])
        with scratch_beside(tmp_path / "out"):  # of the same process, too
            assert own.is_dir()
    assert (scratch / "part" / "file").read_text() == "half"


def test_files_of_others_are_let_be(tmp_path):
    names = [".out.abcdefgh", ".out.backup.unfinished", ".out.v2.abcdefgh.unfinished", ".about.abcdefgh.unfinished"]
    for name in names:
        (tmp_path / name).mkdir()
    write_atomically(tmp_path / "out", b"x")
    assert hidden(tmp_path) == sorted(names)


def replaced_with(path: Path, *names: str) -> None:
    """Replaces a folder by one that holds these files."""
    with scratch_beside(path) as scratch:
        (scratch / "new").mkdir()
        for name in names:
            (scratch / "new" / name).touch()
        replace_folder(scratch / "new", path)


def killed_in_between(path: Path) -> None:
    """Replaces a folder in a process that is killed after the first of the two renames."""
    process = os.fork()
    if process == 0:  # never returns into the test
        rename = Path.rename

        def first_only(source: Path, target: Path) -> None:
            rename(source, target)
            os.kill(os.getpid(), signal.SIGKILL)

        Path.rename = first_only
        try:
            replaced_with(path, "new")
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -signal.SIGKILL


def test_a_folder_whose_replacement_was_cut_off_comes_back(tmp_path):
    path = tmp_path / "out"
    path.mkdir()
    (path / "old").touch()
    killed_in_between(path)
    assert not path.exists()
    with scratch_beside(path) as scratch:
        assert (path / "old").exists()
        (scratch / "new").mkdir()
        replace_folder(scratch / "new", path)
    assert [found.name for found in tmp_path.rglob("*")] == ["out"]


@pytest.mark.parametrize("linked", [False, True])
def test_ctrl_c_between_the_two_renames_loses_nothing(tmp_path, monkeypatch, linked):
    path, real, rename = tmp_path / "out", tmp_path / "real", Path.rename
    (real if linked else path).mkdir()
    if linked:
        path.symlink_to("real")
    (path / "old").touch()

    def interrupted(source: Path, target: Path) -> None:
        rename(source, target)
        if source == path:
            raise KeyboardInterrupt

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        replaced_with(path, "new")
    assert (path / "old").exists()
    assert path.is_symlink() == linked
    assert hidden(tmp_path) == []


def test_what_cannot_come_back_at_once_comes_back_with_the_next_write(tmp_path, monkeypatch):
    path, rename = tmp_path / "out", Path.rename
    replaced_with(path, "old")

    def away_only(source: Path, target: Path) -> None:
        if source != path:
            raise OSError(5, "Input/output error")
        rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", away_only)
        with pytest.raises(OSError, match="Input/output"):
            replaced_with(path, "new")
    assert not path.exists()
    with scratch_beside(path):
        assert (path / "old").exists()


def test_what_was_replaced_does_not_come_back_for_one_who_removes_its_successor(tmp_path, monkeypatch):
    path = tmp_path / "out"
    replaced_with(path, "old", "older")
    with monkeypatch.context() as patch:  # killed before it removed what it had replaced
        patch.setattr(atomic.shutil, "rmtree", lambda *_, **__: None)
        replaced_with(path, "new")
    assert hidden(tmp_path)
    (path / "new").unlink()
    path.rmdir()
    with scratch_beside(path):
        assert not path.exists()
    assert hidden(tmp_path) == []


def test_a_scratch_folder_that_was_taken_for_a_leftover_is_made_again(tmp_path, monkeypatch):
    real, taken = atomic._held, []

    def late(scratch: Path) -> int:
        if not taken:  # another process comes between making and holding it
            taken.append(scratch)
            atomic._remove_leftovers(tmp_path / "out")
        return real(scratch)

    monkeypatch.setattr(atomic, "_held", late)
    with scratch_beside(tmp_path / "out") as scratch:
        assert scratch.is_dir()
        assert not taken[0].exists()


def test_without_locks_nothing_is_removed(tmp_path, monkeypatch):
    def unsupported(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(atomic.fcntl, "flock", unsupported)
    left = tmp_path / ".out.abcdefgh.unfinished"
    left.mkdir()
    write_atomically(tmp_path / "out", b"x")
    assert hidden(tmp_path) == [left.name]


def test_of_two_writers_at_the_same_time_one_is_told(tmp_path, monkeypatch):
    path, rename, renamed = tmp_path / "out", Path.rename, []
    replaced_with(path, "old")

    def other_comes_between(source: Path, target: Path) -> Path:
        renamed.append(source)
        found = rename(source, target)
        if len(renamed) == 1:  # what was there is away
            replaced_with(path, "other")
        return found

    monkeypatch.setattr(Path, "rename", other_comes_between)
    with pytest.raises(FileExistsError, match=r"another process wrote it at the same time: .*out"):
        replaced_with(path, "mine")
    assert [found.name for found in tmp_path.rglob("*")] == ["out", "other"]
