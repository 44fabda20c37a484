"""Table 6: what a step costs, measured in a process of its own so that nothing else counts."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from rapport_edge.errors import SettingsError
from rapport_training.errors import TrainingError
from rapport_training.interest.tables.jobs import EncoderJob, LogDigests, Planner, job_key
from rapport_training.interest.tables.recipes import described
from rapport_training.interest.tables.result import CostResult
from rapport_training.interest.tables.suite import Row, Suite

if TYPE_CHECKING:
    from rapport_training.interest.tables.trainings import Trainings

Phase = Literal["train", "inference"]

#: Table 6's versions by where content comes from: nowhere, an encoder in every step, one that is trained along, or the
#: representation centre.
COSTS: Final = {
    "Base": "none",
    "Base+MIM (w/o RC)": "encoder",
    "Base+MIM (E2E)": "end-to-end",
    "Base+MIM": "centre",
}
PHASES: Final[tuple[Phase, ...]] = ("train", "inference")

_ONE_THREAD: Final = {"OMP_NUM_THREADS": "1"}


class CostQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """What the measuring process is asked.

    Attributes:
        content: a value of `COSTS`.
        phase: a training step, or scoring.
        recipe: of the click-through-rate model, as plain values.
        batch_size: samples.
        prepared, log, encoder, centre: folders.
    """

    content: str
    phase: Phase
    recipe: Any
    batch_size: int
    prepared: str
    log: str
    encoder: str
    centre: str


class CostAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What it measured; see `CostResult`."""

    gflops: float
    memory: int
    device: str
    items: int
    places: int


@dataclass(frozen=True)
class CostJob:
    """One step to be measured.

    Attributes:
        label: of the row.
        phase: of the cell.
        log: name of the log.
        recipe: `CtrRecipe`.
        encoder: of the content.
        batch_size: samples of the step.
        digests: of the log.
    """

    label: str
    phase: Phase
    log: str
    recipe: Any
    encoder: EncoderJob
    batch_size: int
    digests: LogDigests

    @cached_property
    def key(self) -> str:
        """Of the job. Another encoder of the same towers costs the same, but it must be there."""
        parts = self.label, self.phase, described(self.recipe), self.encoder.key, self.batch_size
        return job_key("cost", *parts, self.digests.prepared)

    @property
    def kind(self) -> tuple[str, ...]:
        """Jobs of a kind take about equally long."""
        return ("cost", self.label, self.phase)

    @property
    def title(self) -> str:
        """For progress."""
        return f"{self.log}: cost of {self.label}, {self.phase}"

    def measure(self, trainings: Trainings) -> CostResult:
        """Runs the step in another process.

        Raises:
            TrainingError: if it fails, with its last line.
        """
        started = time.monotonic()
        log = trainings.logs[self.log]
        if log.log is None:
            raise SettingsError(f"encoding items in a step needs their pictures: give --log {self.log}=FOLDER, too")
        answer = _ask(
            CostQuestion(
                content=COSTS[self.label],
                phase=self.phase,
                recipe=described(self.recipe),
                batch_size=self.batch_size,
                prepared=str(log.prepared.path),
                log=str(log.log.path),
                encoder=str(trainings.encoder_run(self.encoder)),
                centre=str(trainings.centre_folder(self.encoder)),
            )
        )
        return trainings.kept.keep(
            CostResult(
                key=self.key,
                batch_size=self.batch_size,
                seconds=time.monotonic() - started,
                **msgspec.structs.asdict(answer),
            )
        )


def cost_jobs(suite: Suite, planner: Planner) -> list[CostJob]:
    """All cells of Table 6; none where its log was not given."""
    plan = suite.cost
    if plan is None or plan.log not in planner.digests:
        return []
    base = planner.ctr(plan.log, Row(label="Base", model=plan.model), suite.seeds[0])
    mim = planner.ctr(plan.log, Row(label="MIM", model=plan.model, encoder=plan.encoder), suite.seeds[0])
    encoder = planner.encoder(plan.log, plan.encoder, suite.seeds[0])
    return [
        CostJob(label, phase, plan.log, (base if content == "none" else mim).recipe, encoder, plan.batch_size, digests)
        for label, content in COSTS.items()
        for phase in PHASES
        for digests in [planner.digests[plan.log]]
    ]


def _ask(question: CostQuestion) -> CostAnswer:
    with tempfile.TemporaryDirectory() as scratch:
        asked, answered = Path(scratch) / "question.json", Path(scratch) / "answer.json"
        asked.write_bytes(msgspec.json.encode(question))
        command = [sys.executable, "-m", "rapport_training.interest.tables.cost_process", str(asked), str(answered)]
        # One thread: what each thread keeps for itself is no cost of the model.
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | _ONE_THREAD)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
            raise TrainingError(f"the measuring process ended: {last}")
        return msgspec.json.decode(answered.read_bytes(), type=CostAnswer)
