"""Measures what the profile store's promises cost: a durable write, an opening with its check, a deletion to the bytes.

    OMP_NUM_THREADS=1 python edge/benchmarks/store.py --folder /var/tmp

"cpu" is what the core spent, the rest of "wall" is waiting: for the disk, or for other programs.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np

from rapport_edge.faces import AttributeEstimate, DemographicEstimate, FloatArray
from rapport_edge.store import Consent, ProfileStore
from rapport_edge.store.connection import open_database, transaction

DIM = 512
DIGEST = "0" * 64


def estimate(vector: FloatArray, observations: int) -> DemographicEstimate:
    """One attribute and an embedding."""
    gender = AttributeEstimate("gender", ("Female", "Male"), np.array([0.8, 0.2], np.float32), "Female", 0.8)
    return DemographicEstimate(None, {"gender": gender}, vector, observations, DIGEST)


def fill(path: Path, vectors: FloatArray) -> None:
    """Persons who granted consent, one transaction for all, where a robot writes one each."""
    db = open_database(path, 3.0)
    users = ((f"p{row}", "granted", 1.0, 1.0, 1.0) for row in range(len(vectors)))
    rows = ((f"p{row}", DIGEST, "", v.astype("<f2").tobytes(), "float16", 1.0, 1.0) for row, v in enumerate(vectors))
    with transaction(db):
        db.conn.executemany(
            "INSERT INTO users (user_id, consent, created, first_seen, last_seen) VALUES (?, ?, ?, ?, ?)", users
        )
        db.conn.executemany("INSERT INTO embeddings VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    db.close()


def timed(name: str, action: Callable[[int], object], repeats: int) -> None:
    """Print one line."""
    wall, cpu = [], []
    for turn in range(repeats):
        wall_start, cpu_start = time.perf_counter(), time.thread_time()
        action(turn)
        wall.append(1e3 * (time.perf_counter() - wall_start))
        cpu.append(1e3 * (time.thread_time() - cpu_start))
    print(
        f"  {name:34s} wall p50 {np.median(wall):8.2f} p95 {np.percentile(wall, 95):8.2f} ms   "
        f"cpu p50 {np.median(cpu):8.2f} ms",
        flush=True,
    )


def measure(folder: Path, users: int) -> None:
    """Print the table for one size."""
    vectors = np.random.default_rng(0).standard_normal((users, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    path = folder / f"{users}.db"
    fill(path, vectors)
    print(f"{users} persons, {path.stat().st_size / 1e6:.0f} MB")
    timed("open with quick_check, close", lambda _: ProfileStore(path).close(), 3)
    with ProfileStore(path) as store:
        timed("first search (loads the index)", lambda _: store.candidates(vectors[0], DIGEST), 1)
        timed("search", lambda turn: store.candidates(vectors[turn], DIGEST), 50)
        timed("observe, on the disk", lambda turn: store.observe("p1", estimate(vectors[1], turn + 1), "e"), 100)
        store._disk.execute("PRAGMA synchronous = NORMAL")
        timed(
            "  the same with synchronous NORMAL", lambda t: store.observe("p1", estimate(vectors[1], t + 1), "e"), 100
        )
        store._disk.execute("PRAGMA synchronous = FULL")
        timed("observe, anonymous", lambda turn: store.observe("x", estimate(vectors[1], turn + 1), "e"), 100)
        timed("grant consent", lambda _: store.set_consent("x", Consent.GRANTED, "self"), 1)
        timed("forget, down to the bytes", lambda turn: store.forget(f"p{turn}", "self"), 5)


@click.command()
@click.option("--folder", type=click.Path(path_type=Path, exists=True), help="On the disk to measure.")
@click.option("--users", type=int, multiple=True, default=(1_000, 10_000, 100_000), show_default=True)
def main(folder: Path | None, users: tuple[int, ...]) -> None:
    """Print a table per size of the database."""
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        for size in users:
            measure(Path(temporary), size)


if __name__ == "__main__":
    main()
