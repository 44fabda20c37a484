"""The centre of one machine: versions, readers beside the writer, damage."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from centres import LAYOUT
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport_edge.errors import StoreError
from rapport_edge.representation import CentreDamagedError, CentreError, EmbeddedCentre, EmbeddedReader, keys_of

ONE = np.arange(4.0)


def tables(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("table-*"))


def items(first: int, count: int) -> tuple[list[str], np.ndarray, list[str]]:
    numbers = np.arange(first, first + count)
    return [f"i{n}" for n in numbers], numbers[:, None] + ONE, [f"s{n}" for n in numbers]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 99), min_size=1)),
        st.tuples(st.sampled_from(["publish", "reopen", "check"]), st.just({})),
    ),
    max_size=12,
)


@settings(max_examples=25, deadline=None)
@given(STEPS)
def test_it_behaves_like_a_dictionary_whose_replacements_wait_for_the_next_version(tmp_path_factory, steps):
    folder = tmp_path_factory.mktemp("centre")
    centre, newest, published = EmbeddedCentre(folder, LAYOUT), {}, {}
    for step, values in [*steps, ("check", {})]:
        if step == "put":
            centre.put(list(values), [ONE * value for value in values.values()], [str(v) for v in values.values()])
            newest |= values
        elif step == "publish":
            centre.publish()
            published = dict(newest)
        elif step == "reopen":
            centre.close()
            centre = EmbeddedCentre(folder, LAYOUT)
        rows = centre.lookup(list("abcdefghz"))
        visible = newest | published
        assert rows.found.tolist() == [item in visible for item in "abcdefghz"]
        for item, vector in zip("abcdefghz", rows.vectors, strict=True):
            assert (vector == ONE * visible.get(item, 0)).all()
    centre.close()


def test_a_reader_follows_and_keeps_its_old_map(tmp_path):
    with_items = EmbeddedCentre(tmp_path, LAYOUT)
    with_items.put(*items(0, 50))
    with_items.publish()
    reader = EmbeddedReader(tmp_path)
    before = reader.table
    for first in (50, 100, 150):
        with_items.put(*items(first, 50))
        with_items.publish()
    assert tables(tmp_path) == ["table-00000003.rows", "table-00000004.rows"]
    assert (before.lookup(["i7"]).vectors == 7 + ONE).all()
    assert not before.lookup(["i50"]).found.any()
    assert reader.table.header.version == 4
    keys = keys_of(["i199", "i200"])
    assert reader.lookup_keys(keys, ["i199", "i200"]).found.tolist() == [True, False]
    with_items.close()
    reader.close()


READER = """
import sys
from pathlib import Path
from rapport_edge.representation import open_centre
centre = open_centre(Path(sys.argv[1]))
for line in sys.stdin:
    version = centre.counts().version  # looks for a new version, which a lookup does every 10 ms only
    rows = centre.lookup(line.split())
    print(version, *rows.vectors[:, 1].tolist(), flush=True)
"""


def test_a_reader_in_another_process_follows_without_restart(tmp_path):
    centre = EmbeddedCentre(tmp_path, LAYOUT)
    command = [sys.executable, "-c", READER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reader:

        def ask(ids: str) -> list[float]:
            reader.stdin.write(ids + "\n")
            reader.stdin.flush()
            return [float(word) for word in reader.stdout.readline().split()]

        assert ask("i1 i5") == [0, 0, 0]
        centre.put(*items(0, 3))
        assert ask("i1 i5") == [0, 2, 0]
        version = centre.publish()
        assert ask("i1 i5") == [version, 2, 0]
        centre.put(["i1"], [ONE * 9], ["new"])
        assert ask("i1 i5") == [version, 2, 0]
        version = centre.publish()
        assert ask("i1") == [version, 9]
        reader.stdin.close()
    centre.close()


def test_a_centre_is_read_after_its_writer_has_gone(tmp_path):
    writer = EmbeddedCentre(tmp_path, LAYOUT)
    writer.put(*items(0, 3))
    writer.close()
    reader = EmbeddedReader(tmp_path)
    assert reader.lookup(["i2"]).found.all()
    reader.close()


def test_two_writers_are_one_too_many(tmp_path):
    writer = EmbeddedCentre(tmp_path, LAYOUT)
    with pytest.raises(StoreError, match="owned by process"):
        EmbeddedCentre(tmp_path, LAYOUT)
    writer.close()
    EmbeddedCentre(tmp_path, LAYOUT).close()


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove", "name"])
def test_a_damaged_table_is_refused_and_made_anew_by_the_writer(tmp_path, damage):
    writer = EmbeddedCentre(tmp_path, LAYOUT)
    writer.put(*items(0, 20))
    version = writer.publish()
    writer.put(*items(20, 5))
    writer.close()
    path = tmp_path / tables(tmp_path)[-1]
    if damage == "flip":
        flip(path)
    elif damage == "truncate":
        path.write_bytes(path.read_bytes()[:-3])
    elif damage == "remove":
        path.unlink()
    else:
        (tmp_path / "current.json").write_bytes(b"{}")
    with pytest.raises(CentreDamagedError, match="open the centre for writing"):
        EmbeddedReader(tmp_path)
    writer = EmbeddedCentre(tmp_path, LAYOUT)
    assert writer.counts()[:2] == (25, 0)
    assert writer.counts().version > (version if damage != "remove" else 0)
    assert writer.table.lookup(["i3", "i24"]).found.all()
    EmbeddedReader(tmp_path).close()
    writer.close()


def test_a_reader_keeps_its_version_where_the_next_one_is_damaged(tmp_path, caplog):
    writer = EmbeddedCentre(tmp_path, LAYOUT)
    writer.put(*items(0, 20))
    version = writer.publish()
    reader = EmbeddedReader(tmp_path)
    writer.put(*items(20, 5))
    writer.publish()
    flip(tmp_path / tables(tmp_path)[-1])
    assert reader.lookup(["i3", "i24"]).found.all()
    assert reader.table.header.version == version
    assert "damaged" in caplog.text
    writer.close()
    reader.close()


def test_files_of_others_are_refused_and_left_alone(tmp_path):
    database = sqlite3.connect(tmp_path / "authority.db")
    database.execute("CREATE TABLE theirs (x)")
    database.commit()
    database.close()
    before = (tmp_path / "authority.db").read_bytes()
    for open_one in (lambda: EmbeddedCentre(tmp_path, LAYOUT), lambda: EmbeddedReader(tmp_path)):
        with pytest.raises(CentreError, match="another program"):
            open_one()
    assert (tmp_path / "authority.db").read_bytes() == before
    (tmp_path / "authority.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreError, match="damaged"):
        EmbeddedCentre(tmp_path, LAYOUT)


def test_an_authority_with_a_vector_of_another_size_is_refused(tmp_path):
    writer = EmbeddedCentre(tmp_path, LAYOUT)
    writer.put(*items(0, 3))
    database = sqlite3.connect(tmp_path / "authority.db")
    database.execute("UPDATE items SET vector = x'00' WHERE item_id = 'i1'")
    database.commit()
    database.close()
    with pytest.raises(CentreDamagedError, match="not 16 bytes"):
        writer.publish()
    writer.close()


def test_a_centre_of_nothing_is_published(tmp_path):
    writer = EmbeddedCentre(tmp_path, LAYOUT)
    assert writer.publish() == 1
    assert not writer.lookup(["", "a"]).found.any()
    assert writer.publish() == 1
    writer.close()
