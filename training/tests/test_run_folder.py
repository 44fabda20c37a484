"""What all run folders share."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from rapport_edge.errors import SettingsError
from rapport_training.run_folder import Provenance, begin, checkpoints, discard, is_finished, mark_finished, owned

HOLD = """
import sys, pathlib
from rapport_training.run_folder import owned
with owned(pathlib.Path(sys.argv[1])):
    print("mine", flush=True)
    sys.stdin.read()
"""


class Record(Provenance, frozen=True, kw_only=True):
    data: str


def test_a_folder_belongs_to_one_training_at_a_time(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"mine\n"
        with pytest.raises(SettingsError, match="another training is at work"), owned(tmp_path / "run"):
            pass
        other.kill()
    with owned(tmp_path / "run"):  # a training that died leaves nothing behind
        pass


def test_a_run_that_goes_on_is_the_same_run(tmp_path: Path) -> None:
    begin(tmp_path, b"epochs: 1\n", Record(data="a"), ["data"])
    begin(tmp_path, b"epochs: 2\n", Record(data="b"), ["data"])  # nothing was trained yet
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.ckpt").touch()
    begin(tmp_path, b"{epochs: 2}", Record(data="b", commit="another"), ["data"])
    with pytest.raises(SettingsError, match="another recipe, data;"):
        begin(tmp_path, b"epochs: 1\n", Record(data="a"), ["data"])


def test_what_was_trained_can_be_discarded(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.ckpt").touch()
    mark_finished(tmp_path)
    assert is_finished(tmp_path)
    discard(tmp_path)
    assert not is_finished(tmp_path)
    assert not checkpoints(tmp_path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="cannot make the run folder"), owned(tmp_path / "file" / "run"):
        pass
    with pytest.raises(SettingsError, match="cannot make the run folder"):
        begin(tmp_path / "file" / "run", msgspec.yaml.encode({}), Record(data=""), [])
