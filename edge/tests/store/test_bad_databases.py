"""Databases that cannot be used: each is refused with what to do, and left as it was."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from people import DIGEST, FakeClock, estimate, remember, unit

from rapport_edge.errors import StoreError
from rapport_edge.store import (
    Consent,
    ProfileReader,
    ProfileStore,
    StoreBusyError,
    StoreCorruptError,
    StoreFullError,
    StoreReadOnlyError,
    StoreSettings,
    StoreVersionError,
)
from rapport_edge.store.migrations import SCHEMA_VERSION, TABLES

IMPATIENT = StoreSettings(busy_timeout_s=0.05)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A sound database of 40 persons."""
    path = tmp_path / "profiles.db"
    with ProfileStore(path, clock=FakeClock()) as store:
        for number in range(40):
            store.observe(f"p{number}", estimate(seed=number), "e1")
            store.set_consent(f"p{number}", Consent.GRANTED, "self")
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def refused(path: Path, error: type[StoreError], match: str) -> None:
    """It is not opened, and what the file holds stays as it was."""
    before = digest(path)
    with pytest.raises(error, match=match):
        ProfileStore(path, IMPATIENT)
    assert digest(path) == before


def refused_untouched(path: Path, error: type[StoreError], match: str) -> None:
    """The same, and neither the file's mode changes nor what lies beside it."""
    path.chmod(0o644)
    beside = {file.name for file in path.parent.iterdir()}
    refused(path, error, match)
    assert path.stat().st_mode & 0o777 == 0o644
    assert {file.name for file in path.parent.iterdir()} == beside


def test_every_file_is_private_from_its_first_byte(tmp_path):
    path = tmp_path / "new" / "profiles.db"
    old = os.umask(0)
    try:
        with ProfileStore(path) as store:
            remember(store, "p")
            modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    finally:
        os.umask(old)
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert modes == dict.fromkeys(("profiles.db", "profiles.db-wal", "profiles.db-shm", "profiles.db.lock"), 0o600)


def test_a_file_that_others_may_read_is_closed_to_them(path):
    path.chmod(0o644)
    ProfileStore(path).close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_it_opens_again_as_it_was(path):
    with ProfileStore(path) as store:
        assert store.profiles().total == 40
        assert store.check() == []


def test_one_from_the_future_is_refused(path):
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    db.close()
    refused_untouched(path, StoreVersionError, "newer version")
    with pytest.raises(StoreVersionError, match="newer version"):
        ProfileReader.beside_owner(path)


def test_the_database_of_another_program_is_refused(tmp_path):
    path = tmp_path / "cookies.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE cookies (name TEXT)")
    db.close()
    refused_untouched(path, StoreVersionError, "another program")


def test_what_is_no_database_is_refused(tmp_path):
    path = tmp_path / "profiles.db"
    path.write_bytes(b"This is a diary.\n" * 100)
    refused_untouched(path, StoreCorruptError, "not an SQLite database")


@pytest.mark.parametrize("table", sorted(TABLES))
def test_one_that_lacks_a_table_is_refused(path, table):
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA foreign_keys = OFF")
        db.execute(f"DROP TABLE {table}")
    db.close()
    refused(path, StoreCorruptError, f"without the tables {table}")


@pytest.mark.parametrize(
    "damage",
    ["UPDATE users SET languages = '[oops'", "UPDATE users SET languages = '7'", "UPDATE demographics SET labels = ''"],
)
def test_a_row_that_cannot_be_read_is_an_error_that_says_so(path, damage):
    with sqlite3.connect(path) as db:
        db.execute(damage)
    db.close()
    with ProfileReader.beside_owner(path) as reader, pytest.raises(StoreCorruptError, match="a row holds"):
        reader.profiles()


@pytest.mark.parametrize("user_id", ["p0", "p7"])  # p0 is read first
@pytest.mark.parametrize(
    ("blob", "found"),
    [
        ("substr(vector, 1, 127)", "blob of length 127"),
        ("substr(vector, 1, 126)", "has 63 values, that of user 'p.' 64"),
        ("x''", "blob of length 0"),
        ("'text'", "blob of length 4"),
    ],
)
def test_an_embedding_of_another_length_is_an_error_that_names_the_row(path, blob, found, user_id):
    with sqlite3.connect(path) as db:
        db.execute(f"UPDATE embeddings SET vector = {blob} WHERE user_id = '{user_id}'")
    db.close()
    with ProfileStore(path) as store:
        with pytest.raises(StoreCorruptError, match=f"embedding of user '{user_id}', model {DIGEST[:12]}.*{found}"):
            store.candidates(unit(1), DIGEST)
        store.forget(user_id, "self")
        assert len(store.candidates(unit(1), DIGEST)) == 5


def test_an_embedding_shorter_than_the_person_s_others_names_the_encounter(path):
    with ProfileStore(path) as store:
        store.observe("p7", estimate(seed=7), "e2")
    with sqlite3.connect(path) as db:
        db.execute("UPDATE embeddings SET vector = substr(vector, 1, 126) WHERE user_id = 'p7' AND encounter = 'e2'")
    db.close()
    with ProfileStore(path) as store:
        for question in (lambda: store.candidates(unit(1), DIGEST), lambda: store.export("p7", "self")):
            with pytest.raises(StoreCorruptError, match=r"user 'p7'.*encounter 'e2' has 63 values, where .* has 64"):
                question()


@pytest.mark.parametrize("name", ["n" * 300, "nul\0inside"])
def test_a_name_that_no_file_can_have_is_refused(tmp_path, name):
    with pytest.raises(StoreError):
        ProfileStore(tmp_path / name)
    with pytest.raises(StoreError):
        ProfileReader.beside_owner(tmp_path / name)


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(StoreError, match="not a file"):
        ProfileStore(tmp_path)


def test_an_empty_file_becomes_a_database(tmp_path):
    path = tmp_path / "profiles.db"
    path.touch()
    with ProfileStore(path) as store:
        assert store.profiles().total == 0


@pytest.mark.parametrize("damage", ["page", "truncated", "header"])
def test_a_damaged_one_is_refused_and_left_alone(path, damage):
    content = bytearray(path.read_bytes())
    if damage == "page":
        content[4096 * 3 : 4096 * 12] = os.urandom(4096 * 9)
    elif damage == "truncated":
        del content[4096 * 9 + 100 :]
    else:
        content[:50] = bytes(50)
    path.write_bytes(content)
    refused(path, StoreCorruptError, r"left as it is.*\.recover")


def test_two_owners_are_refused_by_pid(path):
    with ProfileStore(path), pytest.raises(StoreBusyError, match=f"process {os.getpid()}"):
        ProfileStore(path)
    ProfileStore(path).close()


def test_the_lock_of_another_process_names_it_and_dies_with_it(path):
    code = (
        "import sys,pathlib\nfrom rapport_edge.store import ProfileStore\ns=ProfileStore(pathlib.Path(sys.argv[1]))\n"
    )
    code += "print('ready', flush=True)\nsys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "ready\n"
        with pytest.raises(StoreBusyError, match=f"process {other.pid}"):
            ProfileStore(path)
        with ProfileReader.beside_owner(path) as reader:
            assert reader.profiles().total == 40
        other.kill()
    with ProfileStore(path) as store:
        assert store.profiles().total == 40


def test_a_reader_sees_what_the_owner_writes_and_cannot_write(path):
    with ProfileStore(path) as store, ProfileReader.beside_owner(path) as reader:
        remember(store, "newcomer")
        assert reader.get("newcomer").user_id == "newcomer"
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader._disk.execute("DELETE FROM users")


def test_a_database_locked_by_another_program_is_an_error_and_no_loss(path):
    with ProfileStore(path, IMPATIENT) as store:
        store.see("newcomer")
        other = sqlite3.connect(path)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusyError, match="locked by another process"):
            store.set_consent("newcomer", Consent.GRANTED, "self")
        assert store.get("newcomer").anonymous
        other.close()
        assert not store.set_consent("newcomer", Consent.GRANTED, "self").anonymous


def test_a_full_database_is_an_error_and_no_loss(path):
    with ProfileStore(path) as store:
        pages = store._disk.execute("PRAGMA page_count").fetchone()[0]
        store._disk.execute(f"PRAGMA max_page_count = {pages}")
        acknowledged = []
        with pytest.raises(StoreFullError, match="no space left"):
            for number in range(1000):
                remember(store, f"new{number}", seed=number)
                acknowledged.append(f"new{number}")
        assert store.get(f"new{len(acknowledged)}").anonymous
        assert all(not store.get(user_id).anonymous for user_id in acknowledged)
        assert store.check() == []
        assert store.forget("p1", "self").rows > 0


@pytest.fixture
def small_disk(tmp_path: Path):
    """A file system of one megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"mount is not allowed here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_is_an_error_and_no_loss(small_disk):
    path, acknowledged = small_disk / "profiles.db", []
    with ProfileStore(path) as store:
        with pytest.raises(StoreFullError, match="no space left"):
            for number in range(5000):
                remember(store, f"p{number}", seed=number)
                acknowledged.append(f"p{number}")
        assert store.check() == []
    with ProfileStore(path) as store:
        assert acknowledged
        assert all(store.get(user_id).consent is Consent.GRANTED for user_id in acknowledged)


def test_a_read_only_file_is_refused(ordinary_folder):
    path = ordinary_folder / "profiles.db"
    assert _as_ordinary_user(lambda: ProfileStore(path).close()) == "nothing"
    path.chmod(0o400)
    assert _as_ordinary_user(lambda: ProfileStore(path)) == "StoreReadOnlyError"


def test_a_folder_that_cannot_be_written_is_refused(ordinary_folder):
    ordinary_folder.chmod(0o500)
    assert _as_ordinary_user(lambda: ProfileStore(ordinary_folder / "profiles.db")) == "StoreReadOnlyError"


NOBODY = 65534


@pytest.fixture
def ordinary_folder(tmp_path: Path) -> Path:
    """A folder of a user without root's powers, whom no mode stops."""
    if os.geteuid() == 0:
        tmp_path.chmod(0o755)
        folder = tmp_path / "ordinary"
        folder.mkdir()
        os.chown(folder, NOBODY, NOBODY)
        return folder
    return tmp_path


def _as_ordinary_user(action: Callable[[], object]) -> str:
    """What an action raises for a user without root's powers, tried in a child process."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            if os.geteuid() == 0:
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            action()
            answer = "nothing"
        except StoreReadOnlyError:
            answer = "StoreReadOnlyError"
        except BaseException as error:  # noqa: BLE001 - the child reports whatever it was
            answer = repr(error)
        os.write(writing, answer.encode())
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        return pipe.read()
