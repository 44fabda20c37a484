"""The set-up: when a step runs again, and what an interrupted one leaves behind."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"


@pytest.fixture
def setup_env(monkeypatch, tmp_path):
    """The script, with its paths in an empty checkout."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import setup_env
    from environment import commands

    for module in (setup_env, commands):
        monkeypatch.setattr(module, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(setup_env, "ROOT", tmp_path)
    monkeypatch.setattr(setup_env, "STAMPS", tmp_path / ".venv" / "stamps")
    monkeypatch.setattr(setup_env, "LOGS", tmp_path)
    monkeypatch.setattr(setup_env, "PYTHON", Path(sys.executable))
    return setup_env


@pytest.fixture
def made(setup_env, monkeypatch, tmp_path) -> list[str]:
    """The names of the steps that ran: venv, messages and tools, where the tools do not stand on the messages."""
    ran: list[str] = []
    message = tmp_path / "Face.msg"
    message.write_text("string id")

    def step(name: str, after: str, files: tuple[Path, ...]):
        return setup_env.Step(name, name, after, (), files, lambda log: ran.append(name))

    todo = [step("venv", "", ()), step("messages", "venv", (message,)), step("tools", "venv", ())]
    monkeypatch.setattr(setup_env, "steps", lambda stage: iter(todo))
    setup_env.bring_up_to_date("dev")
    assert ran == ["venv", "messages", "tools"]
    ran.clear()
    return ran


def test_nothing_runs_twice(setup_env, made):
    setup_env.bring_up_to_date("dev")
    assert made == []


def test_a_changed_message_rebuilds_the_messages_only(setup_env, made, tmp_path):
    (tmp_path / "Face.msg").write_text("string id\nfloat32 score")
    setup_env.bring_up_to_date("dev")
    assert made == ["messages"]


def test_a_step_that_failed_runs_again(setup_env, made, monkeypatch):
    def fail(log: Path) -> None:
        raise setup_env.SetupError("no network")

    broken = setup_env.Step("venv", "venv", "", ("3.13",), (), fail)
    monkeypatch.setattr(setup_env, "steps", lambda stage: iter([broken]))
    for _ in range(2):
        with pytest.raises(setup_env.SetupError, match="no network"):
            setup_env.bring_up_to_date("dev")
    assert not broken.stamp.exists()


def test_a_half_installed_package_is_removed(setup_env, tmp_path):
    from environment.commands import remove_half_installed

    site = tmp_path / ".venv" / "lib" / "python3.12" / "site-packages"
    for name in ("whole-1.0.dist-info", "half-1.0.dist-info"):
        (site / name).mkdir(parents=True)
        (site / name / "METADATA").touch()
    (site / "whole-1.0.dist-info" / "INSTALLER").write_text("pip\n")
    remove_half_installed()
    assert [path.name for path in site.iterdir()] == ["whole-1.0.dist-info"]


def test_an_unsupported_python_is_refused_with_what_to_do(setup_env, monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 9, 18))
    with pytest.raises(setup_env.SetupError, match=r"runs on 3.10 to 3.13.*PYTHON="):
        setup_env.check_python()
