"""Two processes compute what one process computes on the same global batch: both stages of the content encoder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from content_log import write_content_log
from content_steps import GLOBAL_BATCH, STEPS, USABLE, K, module_of, pretraining_of, train
from two_processes import join, leave, run_two

#: The two processes of all cases begin in one test's time: 98 s on a machine with a load of twelve on two cores.
pytestmark = pytest.mark.timeout(400)

CASES: dict[str, Callable[[Path], Any]] = {
    "C-SFT": lambda log: module_of(log, distinct=True),
    "few items, some with missing parts": lambda log: module_of(log, distinct=False, missing_modality=0.3),
    "the batch's own negatives": lambda log: module_of(log, distinct=False, negatives="batch", alpha=0.0),
    "cross-entropy": lambda log: module_of(log, distinct=False, loss="cross-entropy"),
    "DDA": lambda log: pretraining_of(log, 0, "compact-small"),
    "DDA of GPT-2": lambda log: pretraining_of(log, 0, "compact-gpt2"),
    "DMA": lambda log: pretraining_of(log, 1, "compact-small"),
}


def one_of_two(rank: int, port: int, log: Path, out: Path) -> None:
    join(rank, port)
    found = {name: train(module(log), rank, 2) for name, module in CASES.items()}
    torch.save(found, out / f"{rank}.pt")
    leave()


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_content_log(tmp_path_factory.mktemp("logs") / "styles", items=USABLE + 5).path


@pytest.fixture(scope="module")
def two(log: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two processes found, in all cases: starting them takes longer than the steps."""
    out = tmp_path_factory.mktemp("two")
    run_two(one_of_two, log, out)
    return [torch.load(out / f"{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("case", CASES)
def test_two_processes_compute_what_one_does(case: str, log: Path, two: list[dict[str, Any]]) -> None:
    alone = train(CASES[case](log), 0, 1)
    assert len(alone["losses"].unique()) == STEPS
    for found in (part[case] for part in two):
        torch.testing.assert_close(found["losses"], alone["losses"], rtol=1e-5, atol=1e-5)
        for name, gradient in alone["gradients"].items():
            largest = max(1.0, float(gradient.abs().max()))
            assert float((found["gradients"][name] - gradient).abs().max()) <= 5e-5 * largest, name
    negatives = [sorted(a + b) for a, b in zip(*(part[case]["negatives"] for part in two), strict=True)]
    assert negatives == [sorted(counts) for counts in alone["negatives"]]


def test_two_processes_have_2np_k_plus_1_minus_1_negatives_once_the_queue_is_full(two: list[dict[str, Any]]) -> None:
    n, p = GLOBAL_BATCH // 2, 2
    for part in two:
        counts = part["C-SFT"]["negatives"]
        assert [set(step) for step in counts] == [{2 * n * p * (min(step, K) + 1) - 1} for step in range(STEPS)]
        assert set(counts[-1]) == {2 * n * p * (K + 1) - 1}
