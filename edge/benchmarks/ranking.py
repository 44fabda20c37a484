"""Measures rankings on one core: how long a person waits for the order of so many candidates.

    OMP_NUM_THREADS=1 python edge/benchmarks/ranking.py BUNDLE...

"network" is ONNX Runtime alone with one intra-op thread, "whole" what a caller waits for: fields and embeddings looked
up, the network, sorting, reasons. "cpu" is what the core spent on either; where other programs use the machine, the
wall clock also has their turns. Histories and candidates are drawn from the bundle's catalogue.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import click
import numpy as np

from rapport_edge.bundle import load_bundle
from rapport_edge.engines import Engine, EngineSettings, create_engine
from rapport_edge.ranking import Event, InterestRanker, Item
from rapport_edge.ranking.tables import read_tables


class TimedEngine:
    """An engine that adds up the CPU seconds of its runs."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self.cpu = engine, 0.0
        self.inputs, self.outputs, self.description = engine.inputs, engine.outputs, engine.description

    def run(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """As `Engine.run`."""
        started = time.thread_time()
        found = self._engine.run(feeds)
        self.cpu += time.thread_time() - started
        return found


def measure(ranker: InterestRanker, engine: TimedEngine, candidates: int, events: int, runs: int) -> np.ndarray:
    """(runs, 4) milliseconds: the network and the whole ranking, and the CPU time of both."""
    rng = np.random.default_rng(0)
    known = list(ranker.catalogue.values())
    now, spent = time.time(), []
    if len(known) < candidates:
        raise click.UsageError(f"the catalogue has {len(known)} items; ask for at most so many --candidates")
    for _ in range(runs + 10):
        asked = [Item(id=known[row].id) for row in rng.choice(len(known), candidates, replace=False)]
        liked = [known[row].id for row in rng.integers(0, len(known), events)]
        history = [Event(id=item, time=now - 86400.0 * (1 + age)) for age, item in enumerate(liked)]
        started, cpu, engine.cpu = time.perf_counter(), time.thread_time(), 0.0
        ranker.rank(history, asked, now=now)
        whole, whole_cpu = time.perf_counter() - started, time.thread_time() - cpu
        spent.append((ranker.network_seconds, whole, engine.cpu, whole_cpu))
    return 1e3 * np.array(spent[10:])


@click.command()
@click.argument("bundles", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--candidates", type=click.IntRange(min=1), default=200, show_default=True)
@click.option("--events", type=click.IntRange(min=0), default=100, show_default=True)
@click.option("--runs", type=click.IntRange(min=1), default=200, show_default=True)
def main(bundles: tuple[Path, ...], candidates: int, events: int, runs: int) -> None:
    """Prints a table: medians and 99th percentiles in milliseconds, of CPU time medians and the lowest."""
    click.echo(f"{candidates} candidates, a history of {events}, {runs} runs; milliseconds")
    names = [("network", "p99"), ("whole", "p99"), ("network cpu", "min"), ("whole cpu", "min")]
    click.echo(f"{'bundle':20s}" + "".join(f"{name:>12s} p50{other:>8s}" for name, other in names))
    for path in bundles:
        bundle = load_bundle(path)
        settings = EngineSettings(name="onnxruntime-cpu")
        engine = TimedEngine(create_engine(bundle.path / bundle.manifest.models[0].file, settings))
        found = measure(InterestRanker(bundle, engine, read_tables(bundle)), engine, candidates, events, runs)
        middle, other = np.median(found, axis=0), np.percentile(found, 99, axis=0)
        other[2:] = found[:, 2:].min(axis=0)
        click.echo(f"{path.name:20s}" + "".join(f"{m:16.2f}{o:8.2f}" for m, o in zip(middle, other, strict=True)))


if __name__ == "__main__":
    main()
