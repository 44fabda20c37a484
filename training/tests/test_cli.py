"""The command line: too little memory is a line, as what a user caused is; what is a mistake of ours is none."""

from __future__ import annotations

import click
import pytest
import torch
from click.testing import CliRunner

from rapport_training.cli import TrainingGroup


def run(function) -> object:
    return CliRunner().invoke(TrainingGroup(commands={"do": click.Command("do", callback=function)}), ["do"])


@pytest.mark.parametrize("allocate", [lambda: torch.empty(1 << 55), lambda: torch.nn.Embedding(1_000_000, 100_000_000)])
def test_too_little_memory_is_a_line(allocate) -> None:
    result = run(allocate)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: there is not enough memory for this (")
    assert "a smaller batch" in result.stderr


def test_of_an_accelerator_too() -> None:
    def allocate() -> None:
        raise torch.OutOfMemoryError(
            "CUDA out of memory. Tried to allocate 20.00 GiB.\nIf reserved but unallocated ..."
        )

    assert run(allocate).stderr == (
        "Error: there is not enough memory for this (CUDA out of memory. Tried to allocate 20.00 GiB.); "
        "a smaller batch or a smaller model needs less\n"
    )


def test_a_mistake_of_ours_is_not_hidden() -> None:
    def fail() -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    assert isinstance(run(fail).exception, RuntimeError)
