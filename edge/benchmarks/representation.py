"""Measures lookups of random ids in a representation centre against plain memory-mapped gathers and public stores.

    OMP_NUM_THREADS=1 python edge/benchmarks/representation.py --out representation.md

The baseline is `matrix[rows]` on a NumPy memory map with as many rows, which is told the row numbers that a store must
find by itself. All answer (n, D) float32. Everything takes its turn within each round, so that other programs on the
machine disturb all alike; a ratio is the median over rounds. LanceDB and a Redis server are measured where they are
there. Everything is in the page cache, as it is after the first epoch.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from rapport_edge.representation import CentreFormat, EmbeddedCentre, EmbeddedReader, keys_of, open_writer

PUT = 10_000
ROUNDS = 5
BASELINE = "matrix[rows] on a memory map"

#: What is asked in each of some batches: random rows, and their ids in all forms.
Batch = dict[str, Any]
Ask = Callable[[Batch], Any]


def memory(name: str) -> float:
    """MB of this process, as /proc says: RssAnon is its own, RssFile is shared with all who map the same file."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1e3


def fill_centre(folder: Path, ids: list[str], vectors: NDArray[Any], layout: CentreFormat) -> list[str]:
    """Writes the centre; what that took."""
    with open_here(folder, layout) as centre:
        start = time.perf_counter()
        for first in range(0, len(ids), PUT):
            part = slice(first, first + PUT)
            centre.put(ids[part], vectors[part], ids[part])
        put = time.perf_counter() - start
        start = time.perf_counter()
        centre.publish()
        publish = time.perf_counter() - start
        centre.put(ids[:1000], vectors[:1000], ids[:1000])
        start = time.perf_counter()
        centre.publish()
        again = time.perf_counter() - start
    sizes = {path.name.split("-")[0]: path.stat().st_size / 1e6 for path in folder.iterdir()}
    return [
        f"put: {len(ids) / put:,.0f} items/s in transactions of {PUT:,}, each waiting for the disk",
        f"publish: {publish:.1f} s for {len(ids):,} items ({len(ids) / publish:,.0f} items/s); {again:.1f} s again "
        "after 1,000 changes",
        f"size: table {sizes['table']:.0f} MB, authority {sizes['authority.db']:.0f} MB, of vectors "
        f"{vectors.nbytes / 1e6:.0f} MB",
    ]


@contextmanager
def open_here(folder: Path, layout: CentreFormat) -> Iterator[EmbeddedCentre]:
    """A writer that is closed again."""
    centre = EmbeddedCentre(folder, layout)
    try:
        yield centre
    finally:
        centre.close()


def ours(folder: Path) -> tuple[dict[str, Ask], str]:
    """The centre, asked in all ways that it has; and what opening it took."""
    before, start = (memory("RssAnon"), memory("RssFile")), time.perf_counter()
    centre = EmbeddedReader(folder)
    seconds = time.perf_counter() - start
    own, mapped = memory("RssAnon") - before[0], memory("RssFile") - before[1]
    table = centre.table
    assert table is not None
    note = (
        f"open with checksums: {seconds:.2f} s; memory of a reader: {own:.1f} MB own, {mapped:.0f} MB mapped and shared"
    )
    return {
        "centre, rows known (`gather`)": lambda batch: table.gather(batch["slots"]),
        "centre, keys known (`lookup_keys`)": lambda batch: centre.lookup_keys(batch["keys"], batch["bytes"]).vectors,
        "centre, array of ids": lambda batch: centre.lookup(batch["bytes"]).vectors,
        "centre, list of strings": lambda batch: centre.lookup(batch["strings"]).vectors,
    }, note


def plain(folder: Path, ids: list[str], vectors: NDArray[Any]) -> dict[str, Ask]:
    """Memory maps, and one with a dictionary."""
    path = folder / "plain"
    vectors.tofile(path)
    matrix = np.memmap(path, vectors.dtype, "r", shape=vectors.shape)
    row_of = dict(zip(ids, range(len(ids)), strict=True))

    def by_dictionary(batch: Batch) -> NDArray[np.float32]:
        rows = np.fromiter(map(row_of.__getitem__, batch["strings"]), np.int64, len(batch["strings"]))
        return matrix[rows].astype(np.float32, copy=False)

    return {
        BASELINE: lambda batch: matrix[batch["rows"]].astype(np.float32, copy=False),
        "the same without conversion to float32": lambda batch: matrix[batch["rows"]],
        "dictionary of ids, then the same": by_dictionary,
    }


def sqlite(folder: Path, ids: list[str], vectors: NDArray[Any]) -> dict[str, Ask]:
    """A table with the id as primary key."""
    database = sqlite3.connect(folder / "plain.db")
    database.execute("CREATE TABLE items (id TEXT PRIMARY KEY, vector BLOB) WITHOUT ROWID")
    database.executemany(
        "INSERT INTO items VALUES (?, ?)", ((i, v.tobytes()) for i, v in zip(ids, vectors, strict=True))
    )
    database.commit()

    def ask(batch: Batch) -> NDArray[np.float32]:
        query = "SELECT vector FROM json_each(?) AS asked JOIN items ON items.id = asked.value"
        found = b"".join(vector for (vector,) in database.execute(query, [json.dumps(batch["strings"])]))
        return np.frombuffer(found, vectors.dtype).reshape(-1, vectors.shape[1]).astype(np.float32, copy=False)

    return {"SQLite": ask}


def lance(folder: Path, ids: list[str], vectors: NDArray[Any]) -> dict[str, Ask]:
    """LanceDB, by row number and by an indexed id; nothing where it is not installed."""
    try:
        import lancedb
        import pyarrow as pa
    except ImportError:
        click.echo("lancedb is not installed; not measured", err=True)
        return {}
    flat = pa.array(np.asarray(vectors, np.float32).reshape(-1))
    content = pa.table({"id": ids, "vector": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])})
    table = lancedb.connect(folder / "lance").create_table("items", content)
    table.create_scalar_index("id", index_type="BTREE")

    def values(found: Any) -> NDArray[np.float32]:
        return found["vector"].combine_chunks().flatten().to_numpy().reshape(-1, vectors.shape[1])

    def by_id(batch: Batch) -> NDArray[np.float32]:
        names = ", ".join(f"'{name}'" for name in batch["strings"])
        found = table.search().where(f"id IN ({names})").select(["id", "vector"]).limit(len(batch["strings"]))
        return values(found.to_arrow())

    return {
        "LanceDB, row numbers known": lambda batch: values(table.take_offsets(batch["rows"].tolist()).to_arrow()),
        "LanceDB, index on the id": by_id,
    }


@contextmanager
def redis(folder: Path, ids: list[str], vectors: NDArray[Any], layout: CentreFormat) -> Iterator[dict[str, Ask]]:
    """This package's centre on a Redis server of its own; nothing where there is none."""
    if shutil.which("redis-server") is None:
        click.echo("redis-server is not installed; not measured", err=True)
        yield {}
        return
    socket = folder / "redis"
    command = ["redis-server", "--port", "0", "--unixsocket", str(socket), "--save", "", "--appendonly", "no"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=folder) as server:
        while not socket.exists():
            time.sleep(0.05)
        centre = open_writer(f"unix://{socket}", layout)
        for first in range(0, len(ids), PUT):
            part = slice(first, first + PUT)
            centre.put(ids[part], vectors[part], ids[part])
        try:
            yield {"centre on Redis, by a socket": lambda batch: centre.lookup(batch["strings"]).vectors}
        finally:
            centre.close()
            server.terminate()


def batches(rng: np.random.Generator, ids: list[str], size: int, reader: EmbeddedReader) -> list[Batch]:
    """Random questions, half a million ids at most."""
    found = []
    for _ in range(max(2, min(200, 500_000 // size))):
        rows = rng.integers(0, len(ids), size)
        strings = [ids[row] for row in rows]
        keys = keys_of(strings)
        table = reader.table
        assert table is not None
        slots = table.rows_of(keys)
        found.append({"rows": rows, "strings": strings, "bytes": np.array(strings, "S"), "keys": keys, "slots": slots})
    return found


def check(asks: dict[str, Ask], batch: Batch, vectors: NDArray[Any]) -> None:
    """All give the same, but for stores that answer in an order of their own and each id once."""
    expected = vectors[batch["rows"]].astype(np.float32)
    for name, ask in asks.items():
        answer = ask(batch)
        if name == "LanceDB, index on the id":
            assert len(answer) == len(np.unique(batch["rows"])), name
        elif not (name.startswith("LanceDB") and len(answer) != len(expected)):
            assert np.array_equal(np.sort(answer[:, 0]), np.sort(expected[:, 0])), name


def measure(asks: dict[str, Ask], asked: list[Batch]) -> dict[str, tuple[float, float]]:
    """For each store nanoseconds per id, and speed relative to the baseline in the same round; medians."""
    seconds: dict[str, list[float]] = {name: [] for name in asks}
    size = len(asked[0]["rows"])
    for _ in range(ROUNDS):
        for name, ask in asks.items():
            # Slow stores get fewer questions, but at least two, so that a round takes seconds.
            budget, count, start = 0.3, 0, time.perf_counter()
            for batch in asked:
                ask(batch)
                count += 1
                if time.perf_counter() - start > budget and count >= 2:
                    break
            seconds[name].append((time.perf_counter() - start) / count / size)
    base = np.array(seconds[BASELINE])
    return {name: (1e9 * float(np.median(s)), float(np.median(base / np.array(s)))) for name, s in seconds.items()}


def report(results: dict[int, dict[str, tuple[float, float]]], title: str, notes: list[str]) -> str:
    """A Markdown table: nanoseconds per id, and speed as a share of the baseline's."""
    head = "| | " + " | ".join(f"batches of {size:,}" for size in results) + " |"
    lines = [f"## {title}", "", head, "|---" * (len(results) + 1) + "|"]
    for name in next(iter(results.values())):
        cells = (f"{results[size][name][0]:,.0f} ns, {results[size][name][1]:.2f}" for size in results)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", *(f"- {note}" for note in notes), ""])


@click.command()
@click.option("--folder", type=click.Path(path_type=Path, exists=True), help="On the disk to measure.")
@click.option("--items", type=int, default=1_000_000, show_default=True)
@click.option("--dim", type=int, default=64, show_default=True)
@click.option("--storage", type=click.Choice(["float32", "float16"]), multiple=True, default=("float32", "float16"))
@click.option("--batch", "sizes", type=int, multiple=True, default=(256, 4096, 50_000), show_default=True)
@click.option("--others/--no-others", default=True, help="SQLite, LanceDB and Redis as well.")
@click.option("--out", type=click.Path(path_type=Path), help="Markdown file for the tables.")
def main(
    folder: Path | None,
    items: int,
    dim: int,
    storage: tuple[Any, ...],
    sizes: tuple[int, ...],
    others: bool,
    out: Path | None,
) -> None:
    """Print a table per number format."""
    ids = [f"B{number:09d}" for number in np.random.default_rng(1).permutation(items)]
    text = ""
    for kind in storage:
        layout = CentreFormat(encoder="0" * 64, dimension=dim, storage=kind)
        vectors = np.random.default_rng(0).standard_normal((items, dim), dtype=np.float32).astype(layout.dtype)
        with tempfile.TemporaryDirectory(dir=folder) as name:
            text += measured(Path(name), ids, vectors, layout, sizes, others=others) + "\n"
        click.echo(text.rpartition("## ")[2])
        if out:
            out.write_text(text)


def measured(
    place: Path, ids: list[str], vectors: NDArray[Any], layout: CentreFormat, sizes: tuple[int, ...], *, others: bool
) -> str:
    """The table of one number format."""
    notes = fill_centre(place / "centre", ids, vectors, layout)
    own, note = ours(place / "centre")
    asks = plain(place, ids, vectors) | own
    served = redis(place, ids, vectors, layout) if others else nullcontext({})
    if others:
        asks |= sqlite(place, ids, vectors) | lance(place, ids, vectors)
    with served as on_server:
        asks |= on_server
        reader, rng = EmbeddedReader(place / "centre"), np.random.default_rng(2)
        asked = {size: batches(rng, ids, size, reader) for size in sizes}
        check(asks, asked[sizes[0]][0], vectors)
        results = {size: measure(asks, asked[size]) for size in sizes}
    return report(results, f"{len(ids):,} x {layout.dimension}, {layout.storage}", [*notes, note])


if __name__ == "__main__":
    main()
