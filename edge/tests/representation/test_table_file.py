"""The published file: read as it was written, or refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport_edge.representation import CentreDamagedError, CentreError, CentreFormat, FrozenTable, keys_of, table_file
from rapport_edge.representation.keys import hash_words, words_of
from rapport_edge.representation.table_file import write_table

IDS = [f"item-{number}" for number in range(500)]
VECTORS = np.random.default_rng(0).standard_normal((500, 8)).astype(np.float32)


def written(folder: Path, storage: str = "float32") -> Path:
    path = folder / f"{storage}.rows"
    layout = CentreFormat(encoder="aa", dimension=8, storage=storage)
    write_table(path, layout, (3, 7), words_of(IDS), np.array_split(VECTORS.astype(layout.dtype), 7))
    return path


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("table"))


@given(st.lists(st.one_of(st.sampled_from(IDS), st.text(max_size=9)), max_size=40))
def test_lookups_find_what_is_there_and_nothing_else(path, ids):
    rows = FrozenTable(path).lookup(ids)
    for position, item in enumerate(ids):
        assert rows.found[position] == (item in IDS)
        assert (rows.vectors[position] == (VECTORS[IDS.index(item)] if item in IDS else 0)).all()


def test_rows_are_resolved_once_and_gathered_often(path):
    table = FrozenTable(path)
    rows = table.rows_of(["item-3", "nothing", "item-4"])
    assert rows[1] == -1
    assert (table.gather(rows) == np.stack([VECTORS[3], np.zeros(8), VECTORS[4]])).all()
    assert (table.lookup_keys(keys_of(IDS)[100:200]).vectors == VECTORS[100:200]).all()
    with pytest.raises(IndexError):
        table.gather(np.array([table.rows]))
    assert (len(table), table.header.version, table.header.window) == (500, 3, 7)


def test_half_precision_is_rounded_once(tmp_path):
    table = FrozenTable(written(tmp_path, "float16"))
    vectors = table.lookup(IDS).vectors
    assert vectors.dtype == np.float32
    assert (vectors == VECTORS.astype(np.float16)).all()


def test_colliding_hashes_are_resolved_by_another_seed(tmp_path, monkeypatch):
    def collides(words, seed=0):
        return hash_words(words, seed) * np.uint64(seed >= 2)

    monkeypatch.setattr(table_file, "hash_words", collides)
    table = FrozenTable(written(tmp_path))
    assert table.header.seed == 2
    assert (table.lookup(IDS).vectors == VECTORS).all()
    assert not table.lookup(["item-500"]).found.any()


def test_keys_that_always_collide_are_refused(tmp_path):
    with pytest.raises(CentreError, match="share a key"):
        write_table(tmp_path / "t", CentreFormat(encoder="a", dimension=1), (1, 1), words_of(["a", "a"]), [])


@settings(max_examples=150)
@given(st.data())
def test_a_changed_byte_is_noticed(path, data):
    content = bytearray(path.read_bytes())
    header = FrozenTable(path).header
    text_end = content.index(b"\n", content.index(b"\n") + 1)
    spans = [(0, text_end), *header.sections]
    start, size = data.draw(st.sampled_from(spans))
    content[data.draw(st.integers(start, start + size - 1))] ^= data.draw(st.integers(1, 255))
    damaged = path.with_name("damaged.rows")
    damaged.write_bytes(content)
    with pytest.raises(CentreDamagedError, match="publishes it anew"):
        FrozenTable(damaged)


@pytest.mark.parametrize("size", [0, 10, 4096, -1])
def test_a_truncated_file_is_refused(path, tmp_path, size):
    damaged = tmp_path / "t.rows"
    damaged.write_bytes(path.read_bytes()[:size])
    with pytest.raises(CentreDamagedError):
        FrozenTable(damaged, verify=False)


FILL = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from rapport_edge.representation import CentreFormat, open_writer
from rapport_edge.representation.errors import CentreFullError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
centre = open_writer(Path(sys.argv[1]), CentreFormat(encoder="aa", dimension=64))
ids = [str(number) for number in range(3000)]
centre.put(ids[:10], np.ones((10, 64)), ids[:10])
version = centre.publish()
centre.put(ids, np.ones((3000, 64)), ids)
centre.close()  # now the write-ahead log is short
centre = open_writer(Path(sys.argv[1]), CentreFormat(encoder="aa", dimension=64))
resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
try:
    centre.publish()
except CentreFullError as error:
    print(error)
assert centre.counts().version == version
assert centre.lookup(ids).found.all()
assert not list(Path(sys.argv[1]).glob(".table*"))
"""


def test_a_full_disk_leaves_the_version_before(tmp_path):
    """The system lets no file of the process grow beyond half a megabyte, which it reports as a full disk is."""
    run = subprocess.run([sys.executable, "-c", FILL, str(tmp_path)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "Free some space and publish again" in run.stdout
