#!/usr/bin/env python3
"""Makes the Python environment that `make demo`, `make test` and `make bench` share.

Standard library only. Every step has a key, the hash of its inputs and of the step it stands on; a step runs when its
stamp in `.venv/stamps` does not hold that key. A stamp is written after its step succeeded, so an interrupted
set-up goes on where it stopped.

Where ROS 2 is sourced (ROS_DISTRO is set) that installation is used: the environment sees the system's packages, and
the workspace is built into `install/`. Elsewhere ROS 2 Jazzy is installed from wheels, and our interfaces are built
into the environment itself, so that nothing needs to be sourced.

    python3 scripts/setup_env.py [--stage runtime|dev]
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from environment import ros
from environment.commands import PYTHON, ROOT, VENV, SetupError, pip_install, run

STAMPS = VENV / "stamps"
LOGS = ROOT / ".cache" / "setup"
IGNORED = {"__pycache__", ".pytest_cache", ".ruff_cache", ".mypy_cache"}

OLDEST, NEWEST = (3, 10), (3, 13)
TRAINING_OLDEST = (3, 11)

INTERFACE_FILES = ("*.msg", "*.srv", "*.action", "package.xml", "CMakeLists.txt")
DEV_TOOLS = (
    "pytest>=8",
    "pytest-timeout>=2.3",
    "pytest-xdist>=3.6,<4",  # conftest.py tells its scheduler which tests belong together
    "hypothesis>=6.100",
    "ruff>=0.12,<1",
    "mypy>=1.15,<3",
)


@dataclass(frozen=True)
class Step:
    """One step of the set-up: its name, the step it stands on, what its result depends on, and how it is made."""

    name: str
    title: str
    after: str
    inputs: tuple[str, ...]
    files: tuple[Path, ...]
    action: Callable[[Path], None]

    def key(self, previous: str) -> str:
        """SHA-256 over the inputs, the files' paths and contents, and the key of the step that this one stands on."""
        digest = hashlib.sha256("\0".join([previous, self.name, *self.inputs]).encode())
        for path in sorted(self.files):
            digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
        return digest.hexdigest()

    @property
    def stamp(self) -> Path:
        """The file that holds the key of the last success."""
        return STAMPS / self.name

    def is_done(self, key: str) -> bool:
        """Whether the last success had this key, in an environment that is still there."""
        return PYTHON.exists() and self.stamp.exists() and self.stamp.read_text() == key


def make_venv(log: Path) -> None:
    """Creates the environment afresh with the interpreter that runs this file."""
    options = ["--system-site-packages"] if ros.distribution() else []
    hint = "on Debian and Ubuntu the venv module is a package of its own: sudo apt install python3-venv"
    run([sys.executable, "-m", "venv", "--clear", *options, VENV], log, hint)


def install_runtime(log: Path) -> None:
    """Installs our own packages that run on a robot, editable."""
    pip_install(["--no-build-isolation", "-e", "edge[evaluate]", "-e", "ros2_ws/src/rapport_ros"], log)


def install_dev(log: Path) -> None:
    """Installs the test tools and, where its libraries support this Python, the training package."""
    pip_install(DEV_TOOLS, log)
    if sys.version_info[:2] >= TRAINING_OLDEST:
        pip_install(["--no-build-isolation", "-e", "edge[evaluate,open-text,redis]", "-e", "training[ray]"], log)


def files_under(folder: str, *patterns: str) -> tuple[Path, ...]:
    """The files under a folder that match one of the patterns; none where the folder is absent."""
    found = (path for pattern in patterns for path in (ROOT / folder).rglob(pattern))
    return tuple(path for path in found if path.is_file() and not IGNORED.intersection(path.parts))


def steps(stage: str) -> Iterator[Step]:
    """The steps of a stage in their order."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    distro = ros.distribution()
    yield Step("venv", f"environment with Python {version}", "", (version, distro, str(VENV)), (), make_venv)
    title = f"build tools for the sourced ROS 2 {distro}" if distro else "ROS 2 Jazzy from wheels"
    yield Step("ros", title, "venv", ros.BUILD_TOOLS + ros.JAZZY_WHEELS, (), ros.install_ros)
    own = files_under("edge", "pyproject.toml") + files_under("ros2_ws/src", "setup.py", "setup.cfg")
    yield Step("runtime", "rapport_edge, rapport_ros and what they need", "ros", (), own, install_runtime)
    if distro:
        sources = files_under("msgs", "*") + files_under("ros2_ws/src", "*") + files_under("launch", "*")
        yield Step("workspace", "ROS 2 workspace", "runtime", (), sources, ros.build_workspace)
    else:
        recipes = (ros.UNITE_TYPESUPPORTS, *files_under("msgs", *INTERFACE_FILES))
        title = "messages, services and actions"
        yield Step("interfaces", title, "ros", ros.INTERFACE_FLAGS, recipes, ros.build_interfaces)
    if stage == "dev":
        recipe = files_under("training", "pyproject.toml")
        yield Step("dev", "test tools and the training package", "runtime", DEV_TOOLS, recipe, install_dev)
        if not distro:
            recipes = (ros.UNITE_TYPESUPPORTS, *files_under("tests/interfaces", *INTERFACE_FILES))
            title = "messages of REP 155, for tests"
            yield Step("test-interfaces", title, "ros", ros.INTERFACE_FLAGS, recipes, ros.build_test_interfaces)


def bring_up_to_date(stage: str) -> None:
    """Runs every step of the stage whose key has changed."""
    todo = list(steps(stage))
    keys = {"": ""}
    for number, step in enumerate(todo, 1):
        key = keys[step.name] = step.key(keys[step.after])
        if step.is_done(key):
            continue
        log = LOGS / f"{step.name}.log"
        log.write_text("")
        print(f"set-up {number}/{len(todo)}: {step.title} ...", end=" ", flush=True)
        started = time.monotonic()
        step.stamp.unlink(missing_ok=True)
        step.action(log)
        STAMPS.mkdir(parents=True, exist_ok=True)
        step.stamp.write_text(key)
        print(f"{time.monotonic() - started:.0f} s", flush=True)


def check_python() -> None:
    """Refuses an interpreter for which the wheels do not exist, and names one that would do."""
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        return
    names = [f"python3.{minor}" for minor in range(OLDEST[1], NEWEST[1] + 1)]
    found = next(filter(shutil.which, reversed(names)), None)
    advice = f"try: make PYTHON={found} setup" if found else "install python3.12, then: make PYTHON=python3.12 setup"
    raise SetupError(f"this is Python {sys.version.split()[0]}; Rapport runs on 3.10 to 3.13. {advice}")


@contextmanager
def only_one() -> Iterator[None]:
    """Lets one set-up of this checkout run at a time; a second waits for the first."""
    LOGS.mkdir(parents=True, exist_ok=True)
    with (LOGS / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("set-up: another one is running here; waiting for it", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> int:
    """Brings the environment up to date; 0 when it is, 2 when a step refused."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stage", choices=("runtime", "dev"), default="runtime", help="dev adds tests and training")
    stage = parser.parse_args().stage
    try:
        check_python()
        with only_one():
            bring_up_to_date(stage)
    except SetupError as error:
        print(f"\nset-up failed: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nset-up interrupted; the next run goes on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
