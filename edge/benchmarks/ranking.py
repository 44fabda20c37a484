"""Measures rankings on one core: how long a person waits for the order of so many candidates.

    OMP_NUM_THREADS=1 python edge/benchmarks/ranking.py BUNDLE...

"network" is ONNX Runtime alone with one intra-op thread, "whole" what a caller waits for: fields and embeddings looked
up, the network, sorting, reasons. "cpu" is what the core spent on the whole; it differs from the wall clock when other
programs use the machine. Histories and candidates are drawn from the bundle's catalogue.
"""

from __future__ import annotations

import time
from pathlib import Path

import click
import numpy as np

from rapport_edge.bundle import load_bundle
from rapport_edge.ranking import Event, InterestRanker, Item, create_ranker


def measure(ranker: InterestRanker, candidates: int, events: int, runs: int) -> np.ndarray:
    """(runs, 3) milliseconds: the network, the whole ranking, and its CPU time."""
    rng = np.random.default_rng(0)
    known = list(ranker.catalogue.values())
    now, spent = time.time(), []
    if len(known) < candidates:
        raise click.UsageError(f"the catalogue has {len(known)} items; ask for at most so many --candidates")
    for _ in range(runs + 10):
        asked = [Item(id=known[row].id) for row in rng.choice(len(known), candidates, replace=False)]
        liked = [known[row].id for row in rng.integers(0, len(known), events)]
        history = [Event(id=item, time=now - 86400.0 * (1 + age)) for age, item in enumerate(liked)]
        started, cpu = time.perf_counter(), time.thread_time()
        ranker.rank(history, asked, now=now)
        spent.append((ranker.network_seconds, time.perf_counter() - started, time.thread_time() - cpu))
    return 1e3 * np.array(spent[10:])


@click.command()
@click.argument("bundles", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--candidates", type=click.IntRange(min=1), default=200, show_default=True)
@click.option("--events", type=click.IntRange(min=0), default=100, show_default=True)
@click.option("--runs", type=click.IntRange(min=1), default=200, show_default=True)
def main(bundles: tuple[Path, ...], candidates: int, events: int, runs: int) -> None:
    """Prints a table: medians and 99th percentiles in milliseconds."""
    click.echo(f"{candidates} candidates, a history of {events}, {runs} runs; milliseconds")
    columns = "".join(f"{name:>10s} p50{'p99':>8s}" for name in ("network", "whole", "cpu"))
    click.echo(f"{'bundle':20s}{columns}")
    for path in bundles:
        ranker = create_ranker(load_bundle(path))
        middle, worst = np.percentile(measure(ranker, candidates, events, runs), [50, 99], axis=0)
        figures = "".join(f"{m:14.2f}{w:8.2f}" for m, w in zip(middle, worst, strict=True))
        click.echo(f"{path.name:20s}{figures}")


if __name__ == "__main__":
    main()
