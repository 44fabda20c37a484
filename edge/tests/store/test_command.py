"""`rapport-edge profiles` as an operator calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from people import FakeClock, bytes_on_disk, remember, unit

from rapport_edge.cli import main
from rapport_edge.store import ProfileStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "profiles.db"
    with ProfileStore(path, clock=FakeClock()) as store:
        remember(store, "person_ada", seed=1)
        store.introduce("person_ada", "Ada", ("en",))
        remember(store, "person_eve", seed=2)
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["profiles", *map(str, arguments)])


def test_list_and_show(path):
    listed = run("list", "--db", path)
    assert listed.exit_code == 0
    assert "person_ada" in listed.output
    assert "2 of 2 persons" in listed.output
    shown = run("show", "--db", path, "person_ada")
    assert "name         Ada" in shown.output
    assert "30 years, 24 to 36" in shown.output
    assert "consent      granted on" in shown.output


def test_looking_and_exporting_work_while_a_node_owns_the_database_and_deleting_does_not(path):
    with ProfileStore(path) as store:
        assert run("list", "--db", path).exit_code == 0
        document = json.loads(run("export", "--db", path, "person_ada").output)
        assert document["profile"]["name"] == "Ada"
        assert store.audit_log()[0].actor.startswith("operator:")
        refused = run("forget", "--db", path, "person_ada", "--yes")
        assert refused.exit_code == 2
        assert "owned by process" in refused.output
        assert run("compact", "--db", path).exit_code == 2


def test_export_to_a_file_and_the_log_of_it(path, tmp_path):
    target = tmp_path / "ada.json"
    assert run("export", "--db", path, "person_ada", "--output", target).exit_code == 0
    assert json.loads(target.read_bytes())["audit"][0]["action"] == "export"
    assert "handed out" in run("audit", "--db", path, "--user", "person_ada").output


def test_forget_leaves_nothing(path):
    secret = unit(1).astype("<f2").tobytes()[:32]
    assert secret in bytes_on_disk(path)
    result = run("forget", "--db", path, "person_ada", "--yes")
    assert result.exit_code == 0
    assert result.output.startswith("deleted ")
    assert secret not in bytes_on_disk(path)
    assert run("show", "--db", path, "person_ada").exit_code == 2


def test_forget_asks_first(path):
    assert CliRunner().invoke(main, ["profiles", "forget", "--db", str(path), "person_ada"], input="n\n").exit_code == 1
    assert run("show", "--db", path, "person_ada").exit_code == 0


def test_check_and_compact(path):
    assert "is sound: 2 persons" in run("check", "--db", path).output
    assert "MB became" in run("compact", "--db", path).output
    content = bytearray(path.read_bytes())
    content[4096 * 5 : 4096 * 6] = bytes(range(256)) * 16
    path.write_bytes(content)
    broken = run("check", "--db", path)
    assert broken.exit_code == 2
    assert "damaged" in broken.output


@pytest.mark.parametrize("what", ["list", "check", "compact"])
def test_a_name_that_no_file_can_have_is_bad_usage(tmp_path, what):
    result = run(what, "--db", tmp_path / ("n" * 300))
    assert result.exit_code == 2
    assert "File name too long" in result.output


@pytest.mark.parametrize("what", ["list", "check", "compact"])
def test_a_name_that_is_not_there_creates_nothing(tmp_path, what):
    missing = tmp_path / "typo.db"
    result = run(what, "--db", missing)
    assert result.exit_code == 2
    assert "there is no profile database" in result.output
    assert list(tmp_path.iterdir()) == []
