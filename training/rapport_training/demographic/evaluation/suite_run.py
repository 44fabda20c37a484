"""`rapport-train demographic table`: trains what is missing, evaluates everything, and can be stopped at any time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from rapport_edge.errors import SettingsError
from rapport_training.data.user_faces import UserFaces
from rapport_training.demographic.commands import recipe_path
from rapport_training.demographic.evaluation.evaluate import Data, Evaluator, Subject
from rapport_training.demographic.evaluation.result import Result
from rapport_training.demographic.evaluation.suite import OUT_OF_THE_BOX, Suite, SuiteModel
from rapport_training.demographic.fit import Inputs, fit
from rapport_training.demographic.recipe import load_recipe
from rapport_training.demographic.run import RunRecord, encoder_from, load_run, recipe_of
from rapport_training.run_folder import is_finished, read_record


@dataclass(frozen=True)
class Files:
    """What the command line names, by the suite's keys.

    Attributes:
        data: folders of data sets.
        weights: checkpoints to start from.
        image_tokenizers: for masked image modelling.
    """

    data: Mapping[str, Path]
    weights: Mapping[str, Path] = field(default_factory=dict)
    image_tokenizers: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """One model to evaluate, after a fine-tuning if it has a seed."""

    model: SuiteModel
    variant: str
    seed: int | None

    @property
    def name(self) -> str:
        """Such as "CLIP/genuser/0"."""
        return "/".join([self.model.label, self.variant, *([] if self.seed is None else [str(self.seed)])])

    def folder(self, runs: Path) -> Path:
        """Of the run."""
        slug = re.sub(r"[^a-z0-9]+", "-", self.model.label.lower()).strip("-")
        return runs / slug / self.variant / f"seed-{self.seed}"

    def chosen_by(self, patterns: Sequence[str]) -> bool:
        """Whether a pattern such as "CLIP" or "CLIP/genuser" names this job or a part of its name up to a slash."""
        return not patterns or any(f"{self.name}/".startswith(f"{pattern.rstrip('/')}/") for pattern in patterns)


def jobs_of(suite: Suite, seeds: Sequence[int], only: Sequence[str] = ()) -> list[Job]:
    """What is to do: out of the box first, then seed by seed, so that the table fills evenly.

    Raises:
        SettingsError: if `only` leaves nothing.
    """
    jobs = [Job(model, OUT_OF_THE_BOX, None) for model in suite.models if OUT_OF_THE_BOX in model.recipes]
    jobs += [
        Job(model, variant, seed)
        for seed in dict.fromkeys(seeds)
        for variant in suite.data
        for model in suite.models
        if variant in model.recipes
    ]
    chosen = [job for job in jobs if job.chosen_by(only)]
    if not chosen:
        names = ", ".join(job.name for job in jobs)
        raise SettingsError(f"--only {' --only '.join(only)} leaves nothing; there are {names}")
    return chosen


class SuiteRun:
    """Works through the jobs of a suite.

    Args:
        suite: what belongs into the table.
        files: what the command line gave; what it did not give stays a dash, and `missing` says so.
        out: run folders, embeddings and results.
        evaluator: measures.
        train: fine-tune what is missing.
        devices: as `fit`.
    """

    def __init__(
        self,
        suite: Suite,
        files: Files,
        out: Path,
        evaluator: Evaluator,
        *,
        train: bool = True,
        devices: int | str = "auto",
    ) -> None:
        _check_names(suite, files)
        self._suite, self._files, self._runs, self._evaluator = suite, files, out / "runs", evaluator
        self._train, self._devices = train, devices
        self.missing: dict[str, str] = {}

    def results(self, jobs: Sequence[Job], progress: Callable[[str], object] = lambda text: None) -> Iterator[Result]:
        """Trains, evaluates on every data set that was given, and yields what came out.

        Raises:
            RapportError: if a recipe, a data set or a checkpoint is wrong.
            Interrupted: if a training was stopped; the same call continues it.
        """
        data = [self._open(key) for key in self._suite.data if key in self._files.data]
        for job in jobs:
            reason = self._obstacle(job)
            if reason:
                self.missing[job.name] = reason
                progress(f"{job.name}: left out, {reason}")
                continue
            subject = self._subject(job, progress)
            for one in data:
                progress(f"{job.name}: evaluating on {one.key}")
                yield self._evaluator.evaluate(subject, one)

    def _open(self, key: str) -> Data:
        data, title = Data.open(key, self._files.data[key]), self._suite.data[key]
        if self._suite.paper and data.splits[2].name != title:
            raise SettingsError(
                f"--data {key}={self._files.data[key]}: this is {data.splits[2].name}, but the paper's row is {title}"
            )
        return data

    def _obstacle(self, job: Job) -> str:
        """Why a job cannot be done; empty if it can."""
        if job.seed is not None and is_finished(job.folder(self._runs)):
            return ""
        if job.seed is not None and not self._train:
            return "not trained"
        if job.variant != OUT_OF_THE_BOX and job.variant not in self._files.data:
            return f"no --data {job.variant}=..."
        wanted = {"weights": self._files.weights, "image_tokenizer": self._files.image_tokenizers}
        for what, given in wanted.items():
            name = getattr(job.model, what)
            # Out of the box, nothing is masked.
            if name is not None and name not in given and not (what == "image_tokenizer" and job.seed is None):
                return f"no --{what.replace('_', '-')} {name}=..."
        return ""

    def _subject(self, job: Job, progress: Callable[[str], object]) -> Subject:
        if job.seed is None:
            assert job.model.weights is not None  # `load_suite` refuses the contrary
            recipe = load_recipe(recipe_path(job.model.recipes[job.variant]))
            encoder = encoder_from(recipe, self._files.weights[job.model.weights], job.model.label)
            return Subject(job.model.label, job.variant, None, encoder)
        run = job.folder(self._runs)
        if is_finished(run):
            self._check_finished(job, run)
        else:
            progress(f"{job.name}: training in {run}")
            self._fit(job, run)
        return Subject(job.model.label, job.variant, job.seed, load_run(run), run)

    def _check_finished(self, job: Job, run: Path) -> None:
        """A run of an earlier command may be of other data or of another recipe.

        Raises:
            SettingsError: if it is.
        """
        recipe = load_recipe(recipe_path(job.model.recipes[job.variant]))
        same = recipe_of(run) == msgspec.structs.replace(recipe, seed=job.seed)
        if same and job.variant in self._files.data:
            same = read_record(run, RunRecord).train == UserFaces.open(self._files.data[job.variant], "train").digest
        if not same:
            raise SettingsError(
                f"{run} was trained with another recipe or on other data than {job.name} asks for; take another --out"
            )

    def _fit(self, job: Job, run: Path) -> None:
        recipe = load_recipe(recipe_path(job.model.recipes[job.variant]))
        inputs = Inputs(
            data=self._files.data[job.variant],
            weights=self._files.weights.get(job.model.weights or ""),
            image_tokenizer=self._files.image_tokenizers.get(job.model.image_tokenizer or ""),
        )
        fit(recipe, inputs, run, seed=job.seed, resume=True, devices=self._devices)


def _check_names(suite: Suite, files: Files) -> None:
    """A name that the suite does not know is a mistake in typing."""
    known = {
        "data": list(suite.data),
        "weights": [model.weights for model in suite.models if model.weights],
        "image-tokenizer": [model.image_tokenizer for model in suite.models if model.image_tokenizer],
    }
    given = {"data": files.data, "weights": files.weights, "image-tokenizer": files.image_tokenizers}
    for option, names in given.items():
        for name in names:
            if name not in known[option]:
                there = ", ".join(dict.fromkeys(known[option])) or "none"
                raise SettingsError(f"--{option} {name}=...: the suite {suite.name} knows {there}")
    if not files.data:
        raise SettingsError(f"no data set was given; --data NAME=FOLDER with one of {', '.join(suite.data)}")
