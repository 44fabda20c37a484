"""The command line: quick to start, one line for what a user got wrong."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
from click.testing import CliRunner
from tiny_bundle import race_head, write_tiny

from rapport_edge.bundle import Bundle
from rapport_edge.cli import RapportGroup, main


def test_lists_its_subcommands() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    assert {"evaluate", "inspect"} <= {line.split()[0] for line in result.output.splitlines() if line.startswith("  ")}


def test_starts_without_what_is_slow_to_import() -> None:
    """--help of every subcommand works without loading numpy, OpenCV or ONNX Runtime."""
    code = (
        "import sys; from rapport_edge.cli import RapportGroup, main\n"
        "main(['--help'], standalone_mode=False)\n"
        "slow = {'numpy', 'cv2', 'onnxruntime', 'onnx', 'pyarrow'} & set(sys.modules)\n"
        "sys.exit(f'imported {slow}' if slow else 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_unknown_subcommands_are_bad_usage() -> None:
    result = CliRunner().invoke(main, ["conquer"])
    assert result.exit_code == 2
    assert "No such command" in result.output


def test_inspects_a_bundle(tiny_bundle: Bundle) -> None:
    result = CliRunner().invoke(main, ["inspect", "--bundle", str(tiny_bundle.path)])
    assert result.exit_code == 0, result.output
    for expected in (
        "tiny-random 0.0.1, demographic-encoder",
        tiny_bundle.digest,
        tiny_bundle.manifest_digest,
        "gender: Male, Female; unknown below 0.6",
        "gender_accuracy 0.5 on none",
        "weights: Apache-2.0",
        "verified: checksums, graph, golden inputs",
    ):
        assert expected in result.output
    assert "policy" not in result.output


def test_inspect_names_heads_that_need_a_policy(tmp_path: Path) -> None:
    bundle = write_tiny(tmp_path / "race", race_head(), sensitive=("race",))
    result = CliRunner().invoke(main, ["inspect", "--bundle", str(bundle.path)])
    assert result.exit_code == 0, result.output
    assert "policy    needed for race" in result.output


def test_inspect_refuses_a_damaged_bundle(tiny_bundle: Bundle) -> None:
    (tiny_bundle.path / "encoder.onnx").write_bytes(b"\x00")
    result = CliRunner().invoke(main, ["inspect", "--bundle", str(tiny_bundle.path)])
    assert result.exit_code == 2
    assert result.output.startswith("Error: bundle")
    assert "encoder.onnx was altered or damaged" in result.output


def test_ctrl_c_ends_with_the_status_that_shells_expect() -> None:
    @click.command()
    def wait() -> None:
        click.echo("ready")
        signal.raise_signal(signal.SIGINT)

    result = CliRunner().invoke(RapportGroup(commands={"wait": wait}), ["wait"])
    assert (result.exit_code, result.stdout, result.stderr) == (130, "ready\n", "stopped\n")


def test_what_fails_because_of_ctrl_c_is_ctrl_c() -> None:
    """NumPy that is interrupted while torch imports it, asks for itself until the stack is full."""

    @click.command()
    def load() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise RecursionError("maximum recursion depth exceeded") from None

    result = CliRunner().invoke(RapportGroup(commands={"load": load}), ["load"])
    assert (result.exit_code, result.stderr) == (130, "stopped\n")


def test_a_mistake_without_ctrl_c_keeps_its_traceback() -> None:
    @click.command()
    def load() -> None:
        raise RecursionError("maximum recursion depth exceeded")

    result = CliRunner().invoke(RapportGroup(commands={"load": load}), ["load"])
    assert isinstance(result.exception, RecursionError)


def test_too_little_memory_is_a_line() -> None:
    @click.command()
    def want() -> None:
        np.empty(1 << 57)

    result = CliRunner().invoke(RapportGroup(commands={"want": want}), ["want"])
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: there is not enough memory for this (Unable to allocate")
