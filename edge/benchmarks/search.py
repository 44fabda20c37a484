"""Measures the nearest-neighbour search on one core and checks its answers against a full float32 scan.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python edge/benchmarks/search.py

"wall" is what a caller waits for, "cpu" what the core spent; they differ when other programs use the machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import click
import numpy as np

from rapport_edge.faces import FloatArray
from rapport_edge.store.search import EmbeddingIndex


def clustered(rng: np.random.Generator, n: int, dim: int) -> FloatArray:
    """Unequal dimensions and a mean cosine of 0.7 between any two, as dual encoders give to faces."""
    spectrum = np.arange(1, dim + 1, dtype=np.float32) ** -0.5
    spectrum /= np.linalg.norm(spectrum)
    common = rng.standard_normal(dim, dtype=np.float32)
    common *= (0.7 / 0.3) ** 0.5 / np.linalg.norm(common)
    return rng.standard_normal((n, dim), dtype=np.float32) * spectrum + common


def isotropic(rng: np.random.Generator, n: int, dim: int) -> FloatArray:
    """Vectors without structure."""
    return rng.standard_normal((n, dim), dtype=np.float32)


def build(vectors: FloatArray) -> tuple[EmbeddingIndex, float]:
    """An index of all vectors, and how many rows per second went in."""
    index = EmbeddingIndex(vectors.shape[1], "benchmark")
    start = time.perf_counter()
    for row, vector in enumerate(vectors):
        index.add(f"u{row}", vector)
    return index, len(vectors) / (time.perf_counter() - start)


def recall(index: EmbeddingIndex, vectors: FloatArray, queries: FloatArray, k: int) -> float:
    """Share of the true `k` best, by a full float32 scan, that the index returns."""
    hits = 0
    for query in queries:
        best = np.argsort(-(vectors @ query))[:k]
        hits += len({f"u{row}" for row in best} & {match.user_id for match in index.search(query, k)})
    return hits / (len(queries) * k)


def timed(index: EmbeddingIndex, queries: FloatArray, k: int) -> tuple[FloatArray, FloatArray]:
    """(n,) wall and (n,) cpu milliseconds, one per query."""
    wall, cpu = [], []
    for query in queries:
        wall_start, cpu_start = time.perf_counter(), time.thread_time()
        index.search(query, k)
        wall.append(1e3 * (time.perf_counter() - wall_start))
        cpu.append(1e3 * (time.thread_time() - cpu_start))
    return np.asarray(wall, dtype=np.float32), np.asarray(cpu, dtype=np.float32)


def measure(name: str, make: Callable[[np.random.Generator, int, int], FloatArray], n: int, dim: int, k: int) -> None:
    """Print one line of the table."""
    rng = np.random.default_rng(0)
    vectors = make(rng, n, dim)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    queries = vectors[rng.integers(0, n, 100)] + rng.standard_normal((100, dim), dtype=np.float32) * (0.5 / dim**0.5)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    index, rate = build(vectors)
    wall, cpu = timed(index, queries, k)
    found = recall(index, vectors, queries[:20], k)
    print(
        f"{name:10s} {n:8d} x {dim:<4d} wall p50 {np.median(wall):6.2f} p95 {np.percentile(wall, 95):6.2f} ms   "
        f"cpu p50 {np.median(cpu):6.2f} p95 {np.percentile(cpu, 95):6.2f} ms   recall@{k} {found:.4f}   "
        f"{rate:7.0f} rows/s added",
        flush=True,
    )


@click.command()
@click.option("--users", type=int, multiple=True, default=(1_000, 10_000, 100_000), show_default=True)
@click.option("--dim", type=int, default=512, show_default=True)
@click.option("--k", type=int, default=10, show_default=True)
def main(users: tuple[int, ...], dim: int, k: int) -> None:
    """Print a table: latency, recall against a full scan, and the rate of adding."""
    for n in users:
        measure("isotropic", isotropic, n, dim, k)
        measure("clustered", clustered, n, dim, k)


if __name__ == "__main__":
    main()
