"""`rapport-train interest table` on a small synthetic log: trains, is stopped, goes on, survives a failure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="the training package is not installed")

import msgspec
from click.testing import CliRunner, Result

from rapport_training.cli import main
from rapport_training.errors import Interrupted
from rapport_training.interest.tables import cost_process, trainings
from rapport_training.interest.tables.cost import COSTS, CostQuestion, cost_jobs
from rapport_training.interest.tables.jobs import Planner
from rapport_training.interest.tables.open_log import open_log
from rapport_training.interest.tables.record import Record
from rapport_training.interest.tables.suite import load_suite
from rapport_training.reporting.report_files import read_report
from rapport_training.yaml_files import suite_path

#: Real trainings, and processes that import everything anew: 90 s were measured on a busy machine.
pytestmark = pytest.mark.timeout(400)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["interest", *map(str, arguments)])


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("log") / "log"
    sizes = ("--items", 100, "--users", 50, "--events", 1200)
    assert run("data", "synthetic", "--kind", "content", *sizes, "--out", folder).exit_code == 0
    return folder


@pytest.fixture(scope="module")
def done(log: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables 2 and 3 of the smallest suite."""
    out = tmp_path_factory.mktemp("suite")
    arguments = ("table", "--suite", "interest-smoke", "--log", f"tiny={log}", "--out", out, "--only", 2, "--only", 3)
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return out


def test_the_suite_fills_its_tables(done: Path) -> None:
    record = read_report(done / "report", Record)
    two, three = record.tables
    assert [len(row.jobs) for row in two.rows] == [2, 2, 2, 2]
    assert all(key in record.results for row in two.rows for key in row.jobs)
    assert three.rows[0].jobs == two.rows[2].jobs  # SIM alone is trained once for both tables
    assert record.missing == {"table 3, tiny: +DDA": "not part of this suite"}
    assert {result.seed for result in record.results.values()} == {0, 1}
    summary = record.logs["tiny"]
    assert summary.protocol.startswith("time 80/10/10")
    assert summary.leakage.startswith("leakage check: labels shuffled")
    one = next(iter(record.results.values()))
    assert one.test.samples == summary.sizes[2] == one.new.samples + one.known.samples
    assert 0 < one.test.auc < 1
    assert one.epochs == 1


def test_the_same_command_trains_nothing_again(done: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = read_report(done / "report", Record)

    def never(*arguments: object, **options: object) -> None:
        pytest.fail("trained again")

    for name in ("fit_ctr", "fit_csft", "fit_pretraining", "embed_log"):
        monkeypatch.setattr(trainings, name, never)
    result = run("table", "--suite", "interest-smoke", "--log", f"tiny={log}", "--out", done, "--only", 2, "--only", 3)
    assert result.exit_code == 0, result.output
    assert read_report(done / "report", Record).results == before.results


def test_ctrl_c_leaves_a_report_of_what_is_done_and_the_same_command_goes_on(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = trainings.fit_ctr, []

    def stopped(*arguments: Any, **options: Any) -> Path:
        calls.append(arguments)
        if len(calls) == 2:
            raise Interrupted("stopped")
        return real(*arguments, **options)

    monkeypatch.setattr(trainings, "fit_ctr", stopped)
    arguments = (
        "table",
        "--suite",
        "interest-smoke",
        "--log",
        f"tiny={log}",
        "--out",
        tmp_path,
        "--seeds",
        0,
        "--only",
        2,
    )
    assert run(*arguments).exit_code == 130
    half = read_report(tmp_path / "report", Record)
    assert len(half.results) == 1
    assert half.missing["table 2, tiny: SIM, Base"] == "not trained yet"
    assert run(*arguments).exit_code == 0
    whole = read_report(tmp_path / "report", Record)
    assert len(whole.results) == 4
    assert half.results.items() <= whole.results.items()
    assert len(calls) == 5  # the one that was stopped began anew


def test_a_failed_training_does_not_lose_the_others(log: Path, tmp_path: Path) -> None:
    suite = tmp_path / "suite.yaml"
    suite.write_text(
        suite_path("interest-smoke").read_text().replace("batch_size: 16}}", "batch_size: 16, learning_rate: 1.0e+30}}")
    )
    result = run("table", "--suite", suite, "--log", f"tiny={log}", "--out", tmp_path, "--seeds", 0, "--only", 2)
    assert result.exit_code == 0, result.output
    record = read_report(tmp_path / "report", Record)
    assert [bool(set(row.jobs) & set(record.results)) for row in record.tables[0].rows] == [True, False, True, False]
    assert "NaN or infinity" in record.missing["table 2, tiny: DIN, Base+MIM"]


def test_settings_that_contradict_one_another_are_refused_before_any_training(log: Path, tmp_path: Path) -> None:
    suite = tmp_path / "suite.yaml"
    suite.write_text(suite_path("interest-smoke").read_text().replace("queue: 2", "queue: 2, signal: category"))
    result = run("table", "--suite", suite, "--log", f"tiny={log}", "--out", tmp_path)
    assert result.exit_code == 2
    assert "cross-entropy" in result.output
    assert not (tmp_path / "runs").exists()


def test_costs_of_the_four_versions(done: Path, log: Path) -> None:
    suite = load_suite(suite_path("interest-smoke"))
    opened = open_log(suite.logs["tiny"], log, None, done)
    doing = trainings.Trainings(done, {"tiny": opened})
    answers = {}
    for job in cost_jobs(suite, Planner(suite, suite.seeds, {"tiny": opened.digests})):
        question = CostQuestion(
            content=COSTS[job.label],
            phase=job.phase,
            recipe=msgspec.to_builtins(job.recipe),
            batch_size=job.batch_size,
            prepared=str(opened.prepared.path),
            log=str(log),
            encoder=str(doing.encoder_run(job.encoder)),
            centre=str(doing.centre_folder(job.encoder)),
        )
        answers[job.label, job.phase] = cost_process.measure(question).gflops
    train, inference = ({label: answers[label, phase] for label in COSTS} for phase in ("train", "inference"))
    assert 0 < train["Base"] < train["Base+MIM"] < train["Base+MIM (w/o RC)"] < train["Base+MIM (E2E)"]
    assert inference["Base"] < inference["Base+MIM"] < inference["Base+MIM (w/o RC)"]
    assert inference["Base+MIM (w/o RC)"] == inference["Base+MIM (E2E)"]
    # A training step's backward pass costs twice its forward pass, less what needs no gradient.
    assert 2 < train["Base+MIM (E2E)"] / inference["Base+MIM (E2E)"] <= 3
    assert train["Base+MIM (w/o RC)"] / inference["Base+MIM (w/o RC)"] < 1.2


def test_a_step_is_measured_in_a_process_of_its_own(done: Path, log: Path) -> None:
    suite = load_suite(suite_path("interest-smoke"))
    opened = open_log(suite.logs["tiny"], log, None, done)
    job = cost_jobs(suite, Planner(suite, suite.seeds, {"tiny": opened.digests}))[5]
    result = job.measure(trainings.Trainings(done, {"tiny": opened}))
    assert (job.label, job.phase) == ("Base+MIM (E2E)", "inference")
    assert result.memory > 2**20
    assert 0 < result.items <= result.places
    assert result.batch_size == 16


def test_what_was_typed_wrongly_is_said(log: Path, tmp_path: Path) -> None:
    for arguments, message in (
        ((), "no log was given"),
        (("--log", f"huge={log}"), "knows tiny"),
        (("--log", f"tiny={tmp_path}"), "no behaviour log"),
        (("--log", f"tiny={log}", "--only", "4"), "has 2, 2/tiny"),
        (("--log", f"tiny={log}", "--seeds", "a"), "--seeds a"),
        (("--log", f"tiny={log}", "--seeds", "0,4294967296"), "not from 0 to 4294967295"),
    ):
        result = run("table", "--suite", "interest-smoke", "--out", tmp_path, *arguments)
        assert result.exit_code == 2
        assert message in result.output
