"""Where the environment lies, and how the set-up runs commands in it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"


class SetupError(Exception):
    """A step of the set-up cannot go on; the message says which, why, and what to do."""


def environment(**extra: str) -> dict[str, str]:
    """The variables of every command: ours, without those that a ROS wheel's interpreter leaves to its children."""
    variables = dict(os.environ)
    if variables.pop("_ROS_WHEELS_BOOTSTRAP_COMPLETE", None):
        variables.pop("LD_LIBRARY_PATH", None)
    return {**variables, "PYTHONUNBUFFERED": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", **extra}


def run(command: list[str | Path], log: Path, hint: str, **extra: str) -> None:
    """Runs a command with its output in `log`; raises SetupError with the log's tail when it fails."""
    words = [str(word) for word in command]
    with log.open("a") as sink:
        sink.write(f"$ {' '.join(words)}\n")
        sink.flush()
        status = subprocess.call(
            words, cwd=ROOT, stdout=sink, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment(**extra)
        )
    if status:
        tail = "\n".join(f"    {line}" for line in log.read_text(errors="replace").splitlines()[-15:])
        shown = " ".join(words[:6]) + (" ..." if len(words) > 6 else "")
        raise SetupError(f"this command ended with status {status}: {shown}\n{tail}\n  the whole log: {log}\n  {hint}")


def pip_install(arguments: Iterable[str], log: Path) -> None:
    """Installs packages into the environment, after removing what an interrupted pip left half-written."""
    remove_half_installed()
    hint = "if the log speaks of a connection, this step needs a package index: check the network or pip's settings"
    run([PYTHON, "-m", "pip", "install", "--no-input", *arguments], log, hint)


def remove_half_installed() -> None:
    """Removes what an interrupted pip left behind: it writes INSTALLER when all files of a package are there."""
    for site in VENV.glob("lib/python3*/site-packages"):
        for info in site.glob("*.dist-info"):
            if not (info / "INSTALLER").exists():
                shutil.rmtree(info)
