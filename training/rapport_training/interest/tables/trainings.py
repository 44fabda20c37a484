"""The jobs of a suite, done: encoders trained, catalogues embedded, click-through-rate models trained and tested."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rapport_edge.errors import SettingsError
from rapport_training.commit import current_commit
from rapport_training.interest.centre_content import content_of
from rapport_training.interest.content.csft.bounds import bounds_of
from rapport_training.interest.content.csft.fit import fit_csft
from rapport_training.interest.content.pretraining.fit import fit_pretraining
from rapport_training.interest.ctr.evaluation import score_split
from rapport_training.interest.ctr.fit import fit_ctr
from rapport_training.interest.ctr.run import load_ctr
from rapport_training.interest.data.content_table import ContentTable
from rapport_training.interest.data.log import BehaviourLog
from rapport_training.interest.embed import embed_log
from rapport_training.interest.tables.jobs import CtrJob, EncoderJob, job_key
from rapport_training.interest.tables.open_log import OpenLog
from rapport_training.interest.tables.result import CtrResult
from rapport_training.interest.tables.results_folder import Finished, ResultsFolder
from rapport_training.interest.tables.tested import tested


@dataclass(frozen=True)
class Trainings:
    """Does jobs and keeps what comes out.

    Attributes:
        out: of the suite: encoders, centres, runs, results.
        logs: that were given.
        devices: as `fit_ctr`.
    """

    out: Path
    logs: Mapping[str, OpenLog]
    devices: int | str = "auto"

    @property
    def kept(self) -> ResultsFolder:
        """What is finished."""
        return ResultsFolder(self.out / "results")

    def encoder_run(self, job: EncoderJob) -> Path:
        """Where an encoder is trained."""
        return self.out / "encoders" / job.key

    def train_encoder(self, job: EncoderJob) -> Finished:
        """Trains one step of an encoder; the step before must be done.

        Raises:
            RapportError: if it cannot be trained.
        """
        log, run, started = self._log(job.log), self.encoder_run(job), time.monotonic()
        if job.step.stage == "pretrain":
            fit_pretraining(job.recipe, log, run, devices=self.devices)
        else:
            start = None if job.start is None else self.encoder_run(job.start)
            bounds = bounds_of(self.logs[job.log].prepared, log)
            fit_csft(job.recipe, log, run, start=start, bounds=bounds, devices=self.devices)
        return self.kept.keep(Finished(key=job.key, seconds=time.monotonic() - started))

    def embed(self, job: EncoderJob) -> Finished:
        """Embeds the catalogue with an encoder that is trained, into a representation centre of its own."""
        started = time.monotonic()
        counts = embed_log(self._log(job.log), self.encoder_run(job), self.centre_folder(job))
        notes = {"counts": str(counts)}
        return self.kept.keep(Finished(key=embedding_key(job), seconds=time.monotonic() - started, notes=notes))

    def content(self, job: EncoderJob) -> ContentTable:
        """Embeddings by item index."""
        prepared = self.logs[job.log].prepared
        return content_of(prepared.item_ids, self.centre_folder(job))

    def train_ctr(self, job: CtrJob) -> CtrResult:
        """Trains a click-through-rate model and tests it.

        Raises:
            RapportError: if it cannot be trained.
        """
        started = time.monotonic()
        prepared = self.logs[job.log].prepared
        content = None if job.encoder is None else self.content(job.encoder)
        run = self.out / "runs" / job.key
        fit_ctr(job.recipe, prepared, run, content=content, devices=self.devices, progress=False)
        model, _ = load_ctr(run)
        scores = score_split(model, prepared, "test", content)
        return self.kept.keep(
            CtrResult(
                key=job.key,
                seed=job.recipe.seed,
                **tested(prepared, scores),
                epochs=epochs_of(run),
                parameters=sum(parameter.numel() for parameter in model.parameters()),
                seconds=time.monotonic() - started,
                commit=current_commit(),
            )
        )

    def centre_folder(self, job: EncoderJob) -> Path:
        """Where the catalogue lies as an encoder sees it."""
        return self.out / "centres" / job.key

    def _log(self, name: str) -> BehaviourLog:
        log = self.logs[name].log
        if log is None:
            raise SettingsError(f"an encoder is trained on the log itself: give --log {name}=FOLDER, too")
        return log


def embedding_key(job: EncoderJob) -> str:
    """Of the catalogue embedded by an encoder."""
    return job_key("embed", job.key)


def epochs_of(run: Path) -> int:
    """How many epochs a run's history has."""
    return max(0, len((run / "history.csv").read_text().splitlines()) - 1)
