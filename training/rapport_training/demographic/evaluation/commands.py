"""`rapport-train demographic table`, `query` and `evaluate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rapport_edge.errors import SettingsError
from rapport_training.reporting.options import named_paths, seed_numbers

if TYPE_CHECKING:
    from rapport_training.demographic.evaluation.result import Result
    from rapport_training.demographic.evaluation.retrieval import Setting
    from rapport_training.demographic.evaluation.suite import Suite

_PATH = click.Path(path_type=Path)
_WORKERS = click.option("--workers", type=click.IntRange(min=0), default=0, help="Processes that decode pictures.")
_RUNS = click.option("--run", "runs", type=_PATH, multiple=True, help="Folder of a run; repeatable.")
_RECIPES = click.option(
    "--recipe",
    "recipes",
    multiple=True,
    help="What a model out of the box is and how it sees; with --weights; repeatable.",
)
_WEIGHTS = click.option("--weights", type=_PATH, multiple=True, help="The weights of each --recipe, in their order.")
_POOLS = click.option("--pool", "pools", metavar="whole|SIZE", multiple=True, help="Pictures a query searches.")
_MATCHES = click.option(
    "--match", "matches", type=click.Choice(["image", "profile"]), multiple=True, help="What is right."
)
_PROBE = click.option(
    "--probe-faces",
    type=click.IntRange(min=0),
    default=5_000,
    show_default=True,
    help="Training faces for the linear probe; 0 for none.",
)


@dataclass(frozen=True, kw_only=True)
class TableOptions:
    """The options of `rapport-train demographic table`."""

    suite: str
    data: tuple[str, ...]
    weights: tuple[str, ...]
    image_tokenizer: tuple[str, ...]
    out: Path
    seeds: str | None
    only: tuple[str, ...]
    train: bool
    pools: tuple[str, ...]
    matches: tuple[str, ...]
    devices: int | None
    probe_faces: int
    workers: int


@click.command()
@click.option("--suite", default="table-1", show_default=True, help="Name of a shipped suite, or a file.")
@click.option(
    "--data", metavar="NAME=FOLDER", multiple=True, required=True, help="A data set of the suite; repeatable."
)
@click.option("--weights", metavar="NAME=FILE", multiple=True, help="A checkpoint of the suite; repeatable.")
@click.option("--image-tokenizer", metavar="NAME=FILE", multiple=True, help="A tokenizer of the suite; repeatable.")
@click.option("--out", type=_PATH, required=True, help="Folder of the runs, the kept embeddings and the report.")
@click.option("--seeds", metavar="0,1,...", help="Instead of the suite's.")
@click.option("--only", metavar="MODEL[/VARIANT[/SEED]]", multiple=True, help="Only these; repeatable.")
@click.option("--train/--no-train", default=True, help="Fine-tune what is missing, or leave a dash.")
@_POOLS
@_MATCHES
@click.option("--devices", type=click.IntRange(min=1), help="GPUs, or processes on the CPU.  [default: GPUs, or 1]")
@_PROBE
@_WORKERS
def table(**options: Any) -> None:
    """Runs a suite and prints Table I beside the paper's; Ctrl-C stops it, the same command continues it."""
    run_table(TableOptions(**options))


def run_table(options: TableOptions) -> None:
    """Trains what is missing, evaluates, prints and writes the report."""
    import msgspec

    from rapport_training.demographic.evaluation.evaluate import Evaluator, Plan
    from rapport_training.demographic.evaluation.suite import load_suite
    from rapport_training.demographic.evaluation.suite_run import Files, SuiteRun, jobs_of
    from rapport_training.yaml_files import suite_path

    suite = load_suite(suite_path(options.suite))
    if options.pools or options.matches:
        suite = msgspec.structs.replace(suite, settings=_settings(options.pools, options.matches))
    jobs = jobs_of(suite, suite.seeds if options.seeds is None else seed_numbers(options.seeds), options.only)
    files = Files(
        data=named_paths("--data", options.data),
        weights=named_paths("--weights", options.weights),
        image_tokenizers=named_paths("--image-tokenizer", options.image_tokenizer),
    )
    evaluator = Evaluator(Plan(settings=suite.settings, probe_faces=options.probe_faces), options.out, options.workers)
    run = SuiteRun(suite, files, options.out, evaluator, train=options.train, devices=options.devices or "auto")
    results = list(run.results(jobs, progress=lambda text: click.echo(text, err=True)))
    _finish(suite, results, run.missing, options.out / "report")


@click.command()
@_RUNS
@_RECIPES
@_WEIGHTS
@click.option("--data", type=_PATH, multiple=True, required=True, help="Folder of a data set; repeatable.")
@click.option("--out", type=_PATH, required=True, help="Folder of the report and the kept embeddings.")
@_POOLS
@_MATCHES
@_PROBE
@_WORKERS
def evaluate(**options: Any) -> None:
    """Measures runs, or published weights as they come, on the test splits of data sets."""
    _evaluate(**options)


def _evaluate(
    *,
    data: tuple[Path, ...],
    out: Path,
    probe_faces: int,
    workers: int,
    **how: tuple[Any, ...],
) -> None:
    """`how`: runs, recipes, weights, pools and matches."""
    from rapport_training.demographic.evaluation.evaluate import Data, Evaluator, Plan
    from rapport_training.demographic.evaluation.subjects import labels_of, subjects_of
    from rapport_training.demographic.evaluation.suite import Suite, SuiteModel

    settings = _settings(how["pools"], how["matches"])
    sets = [Data.open(name, folder) for name, folder in labels_of(data).items()]
    evaluator = Evaluator(Plan(settings=settings, probe_faces=probe_faces), out, workers)
    results = []
    for subject in subjects_of(how["runs"], how["recipes"], how["weights"]):
        for one in sets:
            click.echo(f"{subject.label}: evaluating on {one.key}", err=True)
            results.append(evaluator.evaluate(subject, one))
    suite = Suite(
        name=", ".join(dict.fromkeys(found.label for found in results)),
        data={one.key: one.splits[2].name if len(sets) == 1 else one.key for one in sets},
        models=[SuiteModel(label="-", recipes={})],
        seeds=[0],
        settings=settings,
    )
    _finish(suite, results, {}, out)


@click.command()
@click.argument("sentence", required=False)
@_RUNS
@_RECIPES
@_WEIGHTS
@click.option("--data", type=_PATH, required=True, help="Folder of a data set, whose test split is searched.")
@click.option("--split", type=click.Choice(["train", "val", "test"]), default="test", show_default=True)
@click.option("--top", type=click.IntRange(1, 20), default=5, show_default=True, help="Faces per model.")
@click.option("--out", type=_PATH, required=True, help="The picture, a PNG file.")
def query(sentence: str | None, out: Path, **options: Any) -> None:
    """Draws the best faces for SENTENCE, per model side by side (Table II); without one, the paper's own."""
    from rapport_training.data.user_faces import UserFaces
    from rapport_training.demographic.evaluation.paper import QUERY
    from rapport_training.demographic.evaluation.query import as_text, best_faces, draw
    from rapport_training.demographic.evaluation.subjects import subjects_of

    faces = UserFaces.open(options["data"], options["split"])
    asked = QUERY if sentence is None else sentence.strip()
    if not asked:
        raise SettingsError("the sentence is empty; leave it out for the paper's own")
    hits = [
        (
            f"{subject.label}, {subject.variant.replace('_', ' ')}",
            best_faces(subject.encoder, asked, faces, options["top"]),
        )
        for subject in subjects_of(options["runs"], options["recipes"], options["weights"])
    ]
    draw(asked, faces, hits, out)
    click.echo(as_text(asked, hits))
    click.echo(f"written: {out}")


def _finish(suite: Suite, results: Sequence[Result], missing: Mapping[str, str], folder: Path) -> None:
    """Prints the tables and writes the report."""
    from rapport_training.demographic.evaluation.report import write_report
    from rapport_training.demographic.evaluation.table import as_markdown, heading, table_of

    click.echo("\n".join(heading(suite, results)))
    for name, reason in missing.items():
        click.echo(f"Not measured: {name}, {reason}")
    for setting in suite.settings:
        found = table_of(suite, results, setting)
        click.echo(f"\nUser retrieval: {found.title}\n\n{as_markdown(found)}")
    click.echo(f"\nreport: {write_report(suite, results, missing, folder)}")


def _settings(pools: Sequence[str], matches: Sequence[str]) -> list[Setting]:
    """Every combination; without --pool the whole set and 64, without --match both.

    Raises:
        SettingsError: for a pool that is neither "whole" nor a number of at least 2.
    """
    from rapport_training.demographic.evaluation.retrieval import Setting

    for pool in pools:
        if pool != "whole" and not (pool.isascii() and pool.isdigit() and int(pool) >= 2):
            raise SettingsError(f"--pool {pool}: expected whole, or a number of at least 2")
    return [
        Setting(pool="whole" if pool == "whole" else int(pool), match=match)  # type: ignore[arg-type]
        for pool in pools or ("whole", "64")
        for match in matches or ("profile", "image")
    ]
