"""Opening a profile database: checks first, then one connection with the pragmas that the store relies on."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from sqlite_utils import Database

from rapport_edge.errors import StoreError
from rapport_edge.store.errors import (
    StoreBusyError,
    StoreCorruptError,
    StoreFullError,
    StoreReadOnlyError,
    StoreRowError,
    StoreVersionError,
)
from rapport_edge.store.migrations import APPLICATION_ID, SCHEMA_VERSION, TABLES, migrations

_MAGIC = b"SQLite format 3\x00"


def open_database(path: Path, busy_timeout_s: float) -> Database:
    """Open or create the database for its owner, check it, and bring its schema up to date.

    WAL lets readers look while the owner writes. `synchronous = FULL` makes each commit wait for the disk, so what was
    acknowledged survives a power cut. `secure_delete` overwrites what is deleted.

    Raises:
        StoreError: the subclass says what is wrong; what a refused file holds is left as it was.
    """
    check_ours(path)
    with translated(path):
        _create_private(path)
        db = _connect(path, busy_timeout_s, "rw")
        try:
            _check_versions(db, path)
            _check_integrity(db, path)
            db.enable_wal()
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA secure_delete = ON")
            migrations.apply(db)
        except BaseException:
            db.close()
            raise
    return db


def check_ours(path: Path) -> None:
    """Refuse a file of another program or version before anything is done to it or beside it; no file is fine.

    Raises:
        StoreError: the subclass says what is wrong.
    """
    with translated(path):
        if path.exists() and _check_header(path) != APPLICATION_ID and path.stat().st_size:
            # "immutable" keeps SQLite from creating -wal and -shm files.
            db = _connect(path, 0.0, "ro&immutable=1")
            try:
                _check_versions(db, path)
            finally:
                db.close()


def check_exists(path: Path) -> None:
    """Refuse a mistyped name, which must not create a database.

    Raises:
        StoreError: there is no such file, or there cannot be one of this name.
    """
    with translated(path):
        if not path.is_file():
            raise StoreError(f"there is no profile database at {path}")


def open_for_reading(path: Path, busy_timeout_s: float) -> Database:
    """Open an existing database beside its owner, unable to write.

    Raises:
        StoreError: as `open_database`, and when there is no such file or its schema is an older one.
    """
    check_exists(path)
    with translated(path):
        _check_header(path)
        db = _connect(path, busy_timeout_s, "ro")
        try:
            version = _check_versions(db, path)
            if version < SCHEMA_VERSION:
                raise StoreVersionError(
                    f"{path} has schema {version}, this software reads {SCHEMA_VERSION}; start the profile store once, "
                    "it brings the database up to date"
                )
        except BaseException:
            db.close()
            raise
    return db


def open_beside_owner(path: Path, busy_timeout_s: float) -> Database:
    """As `open_for_reading`, but able to write; for appending to the audit log and nothing else."""
    open_for_reading(path, busy_timeout_s).close()
    with translated(path):
        db = _connect(path, busy_timeout_s, "rw")
        db.execute("PRAGMA synchronous = FULL")
    return db


def open_in_memory() -> Database:
    """A database of the same schema that never touches the disk."""
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    db = Database(connection, execute_plugins=False)
    db.execute("PRAGMA foreign_keys = ON")
    db.execute("PRAGMA temp_store = MEMORY")
    migrations.apply(db)
    return db


@contextmanager
def transaction(db: Database) -> Iterator[None]:
    """All or nothing; nested blocks are savepoints.

    Takes the write lock at once (BEGIN IMMEDIATE), so that a busy database is met here, where waiting helps, and not
    at the first write after a read, where SQLite refuses without waiting.
    """
    if db.conn.in_transaction:
        with db.atomic():
            yield
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.commit()
    except BaseException:
        db.rollback()
        raise


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn SQLite's and the system's errors, and rows that cannot be read, into errors that say what to do."""
    try:
        yield
    except (msgspec.DecodeError, StoreRowError) as error:
        raise _corrupt(path, f"a row holds what the store does not write: {error}") from error
    except sqlite3.Error as error:
        raise _explain(path, str(error)) from error
    except OSError as error:
        if isinstance(error, PermissionError) or error.errno == errno.EROFS:
            raise StoreReadOnlyError(f"{path} cannot be written: {error.strerror}; check owner and mode") from error
        raise StoreError(f"{path} cannot be opened: {error.strerror or error}") from error


def _explain(path: Path, message: str) -> StoreError:
    if "locked" in message or "busy" in message:
        return StoreBusyError(f"{path} is locked by another process ({message}); close the program that writes to it")
    if "readonly" in message:
        return StoreReadOnlyError(f"{path} is read-only ({message}); check owner and mode of the file and its folder")
    if "full" in message:
        return StoreFullError(f"no space left for {path}; the change was not made: free some space and repeat it")
    if "malformed" in message or "not a database" in message:
        return _corrupt(path, message)
    return StoreError(f"{path}: {message}")


def _corrupt(path: Path, detail: str) -> StoreCorruptError:
    return StoreCorruptError(
        f"{path} is damaged ({detail}) and was left as it is; move it aside, then restore a backup or save what can be "
        f"read: sqlite3 {path} .recover | sqlite3 recovered.db"
    )


def _create_private(path: Path) -> None:
    """Make the file readable by its owner only, from its first byte; SQLite gives -wal and -shm the same mode."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(fd).st_mode & 0o077:
            os.fchmod(fd, 0o600)
    finally:
        os.close(fd)


def _check_header(path: Path) -> int:
    """The application id in the first 100 bytes, which are looked at before SQLite looks.

    SQLite might complete or undo somebody else's write-ahead log.
    """
    if not path.is_file():
        raise StoreError(f"{path} is not a file; name a file for the profile database")
    with path.open("rb") as file:
        header = file.read(100)
    if not header:
        return 0
    if not header.startswith(_MAGIC) or len(header) < 100:
        raise _corrupt(path, "not an SQLite database")
    version = int.from_bytes(header[60:64], "big")
    application = int.from_bytes(header[68:72], "big")
    _refuse_foreign(path, application, version)
    return application


def _check_versions(db: Database, path: Path) -> int:
    application = int(next(iter(db.query("PRAGMA application_id")))["application_id"])
    version = int(next(iter(db.query("PRAGMA user_version")))["user_version"])
    tables = set(db.table_names())
    if tables - {migrations.migrations_table} and application != APPLICATION_ID:
        raise StoreVersionError(f"{path} is an SQLite database of another program; name another file")
    _refuse_foreign(path, application, version)
    if version == SCHEMA_VERSION and (missing := TABLES - tables):
        raise _corrupt(path, f"without the tables {', '.join(sorted(missing))}")
    return version


def _refuse_foreign(path: Path, application: int, version: int) -> None:
    if application not in (0, APPLICATION_ID):
        raise StoreVersionError(f"{path} is an SQLite database of another program; name another file")
    if application == APPLICATION_ID and version > SCHEMA_VERSION:
        raise StoreVersionError(
            f"{path} has schema {version}, this software knows {SCHEMA_VERSION}: it was written by a newer version; "
            "install that version, or name another file"
        )


def _check_integrity(db: Database, path: Path) -> None:
    findings = [row["quick_check"] for row in db.query("PRAGMA quick_check(5)")]
    if findings != ["ok"]:
        raise _corrupt(path, "; ".join(findings)[:300])


def integrity_findings(db: Database) -> list[str]:
    """What a thorough check finds; empty when the database is sound."""
    findings = [str(row["integrity_check"]) for row in db.query("PRAGMA integrity_check(20)")]
    orphans = [f"a row of {row['table']} belongs to nobody" for row in db.query("PRAGMA foreign_key_check")]
    return [finding for finding in findings if finding != "ok"] + orphans


def _connect(path: Path, busy_timeout_s: float, mode: str) -> Database:
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode={mode}", uri=True, timeout=busy_timeout_s, check_same_thread=False
    )
    db = Database(connection, execute_plugins=False)
    db.execute("PRAGMA foreign_keys = ON")
    # VACUUM and sorting would otherwise leave personal data in a temporary file outside this folder.
    db.execute("PRAGMA temp_store = MEMORY")
    return db
