"""The authority: an SQLite database with every item's vector and source, and the windows in which they came.

A window is a message: items that came between two publications. Its state goes from open to closed to published and
never back. Items lie in the window of their newest vector, so that a window delivered twice says the same twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlite_utils import Database

from rapport_edge.representation.authority_connection import AuthorityConnection
from rapport_edge.representation.contract import CentreFormat, Storage
from rapport_edge.representation.errors import CentreDamagedError, CentreError
from rapport_edge.representation.keys import Words, words_of
from rapport_edge.store.connection import transaction, translated

#: "RPRC" in ASCII.
APPLICATION_ID: Final = 0x52505243
SCHEMA_VERSION: Final = 1
#: Rows read at a time: 4 MB at 64 values in float32, with their Python objects.
_BLOCK: Final = 16384

_SCHEMA: Final = (
    "CREATE TABLE centre (encoder TEXT NOT NULL, dimension INTEGER NOT NULL, storage TEXT NOT NULL)",
    """CREATE TABLE items (
        number INTEGER PRIMARY KEY,
        item_id TEXT NOT NULL UNIQUE,
        source TEXT NOT NULL,
        vector BLOB NOT NULL,
        time REAL NOT NULL,
        window INTEGER NOT NULL)""",
    "CREATE INDEX items_window ON items (window)",
    """CREATE TABLE windows (
        window INTEGER PRIMARY KEY,
        state TEXT NOT NULL CHECK (state IN ('open', 'closed', 'published')),
        opened REAL NOT NULL,
        closed REAL)""",
    "CREATE TABLE deliveries (consumer TEXT PRIMARY KEY NOT NULL, window INTEGER NOT NULL)",
)


class Place(NamedTuple):
    """Where an item stands: its window, and its number there and in the table."""

    window: int
    number: int


class Delivery(NamedTuple):
    """k items for another centre: ids, (k, D) vectors and source hashes; `place` is that of the last of them."""

    place: Place
    ids: list[str]
    vectors: NDArray[Any]
    sources: list[str]


class Authority:
    """One connection. Not thread-safe: its owner holds the lock.

    Raises:
        CentreError, StoreError: the file is none of this format, damaged, locked or cannot be written.
    """

    def __init__(self, path: Path, *, write: bool) -> None:
        self.path = path
        with translated(path):
            self._connection = AuthorityConnection(path, write=write)
            try:
                self._prepare(write)
            except BaseException:
                self._connection.close()
                raise

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    @property
    def _db(self) -> Database:
        return self._connection.database

    def format(self) -> CentreFormat | None:
        """What was settled when the centre was created; None for a new file."""
        with translated(self.path):
            if not self._db["centre"].exists():
                return None
            row = next(iter(self._db["centre"].rows), None)
        if row is None:
            return None
        storage: Storage = "float16" if row["storage"] == "float16" else "float32"
        return CentreFormat(encoder=row["encoder"], dimension=row["dimension"], storage=storage)

    def create(self, layout: CentreFormat, now: float) -> None:
        """Settles the format and opens the first window."""
        with translated(self.path), transaction(self._db):
            for statement in _SCHEMA:
                self._db.execute(statement)
            self._db.execute("INSERT INTO centre VALUES (?, ?, ?)", [layout.encoder, layout.dimension, layout.storage])
            self._db.execute("INSERT INTO windows VALUES (1, 'open', ?, NULL)", [now])
            self._db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def put(self, ids: Sequence[str], vectors: NDArray[Any], sources: Sequence[str], now: float) -> None:
        """Adds or replaces items in the open window; on the disk when it returns."""
        rows = zip(ids, sources, (row.tobytes() for row in vectors), strict=True)
        with translated(self.path), transaction(self._db):
            window = self._number("SELECT window FROM windows WHERE state = 'open'")
            self._db.conn.executemany(
                "INSERT INTO items (item_id, source, vector, time, window) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT (item_id) DO UPDATE SET source = excluded.source, vector = excluded.vector, "
                "time = excluded.time, window = excluded.window",
                ((item, source, vector, now, window) for item, source, vector in rows),
            )

    def close_window(self, now: float) -> int:
        """Closes the open window, if something came in it, and opens the next. Returns the newest closed one."""
        with translated(self.path), transaction(self._db):
            window = self._number("SELECT window FROM windows WHERE state = 'open'")
            if not self._number("SELECT EXISTS (SELECT 1 FROM items WHERE window = ?)", window):
                return window - 1
            self._db.execute("UPDATE windows SET state = 'closed', closed = ? WHERE window = ?", [now, window])
            self._db.execute("INSERT INTO windows VALUES (?, 'open', ?, NULL)", [window + 1, now])
        return window

    def mark_published(self, window: int) -> None:
        """Every window up to this one is in a table; saying so twice changes nothing."""
        with translated(self.path), transaction(self._db):
            self._db.execute("UPDATE windows SET state = 'published' WHERE window <= ? AND state = 'closed'", [window])

    def newest_closed(self) -> int:
        """The newest window that takes no more items; 0 for none."""
        with translated(self.path):
            return self._number("SELECT coalesce(max(window), 0) FROM windows WHERE state != 'open'")

    def states(self) -> dict[int, str]:
        """State of each window."""
        with translated(self.path):
            return {row["window"]: row["state"] for row in self._db.query("SELECT window, state FROM windows")}

    def delivered(self, consumer: str) -> int:
        """The newest window that a consumer has taken in; 0 for none."""
        with translated(self.path):
            return self._number("SELECT coalesce(max(window), 0) FROM deliveries WHERE consumer = ?", consumer)

    def mark_delivered(self, consumer: str, window: int) -> None:
        """A consumer has taken in every window up to this one."""
        with translated(self.path), transaction(self._db):
            self._db.execute(
                "INSERT INTO deliveries VALUES (?, ?) ON CONFLICT DO UPDATE SET window = max(window, excluded.window)",
                [consumer, window],
            )

    def count(self, after: int = -1) -> int:
        """Items of the windows after this one."""
        with translated(self.path):
            return self._number("SELECT count(*) FROM items WHERE window > ?", after)

    def sources(self, ids: Sequence[str]) -> list[str | None]:
        """Source hash of each id."""
        with translated(self.path):
            rows = self._db.conn.execute(
                "SELECT item_id, source FROM items WHERE item_id IN (SELECT value FROM json_each(?))",
                [json.dumps(list(ids))],
            )
            found: dict[str, str] = dict(rows)
        return [found.get(item) for item in ids]

    def vectors(self, ids: Sequence[str], after: int, layout: CentreFormat) -> dict[str, NDArray[Any]]:
        """(D,) vectors of those ids that came in a window after this one."""
        with translated(self.path):
            rows = self._db.conn.execute(
                "SELECT item_id, vector FROM items WHERE item_id IN (SELECT value FROM json_each(?)) AND window > ?",
                [json.dumps(list(ids)), after],
            )
            return {item: self._decoded([vector], layout)[0] for item, vector in rows}

    def next_items(self, after: Place, until: int, layout: CentreFormat) -> Delivery:
        """The next thousands of items, by windows, of the windows up to `until`; none at the end."""
        with translated(self.path):
            # One condition on the pair (window, number) would look at a window from its beginning each time.
            rows = self._db.conn.execute(
                "SELECT window, number, item_id, vector, source FROM items WHERE window = :window AND number > :number "
                "UNION ALL "
                "SELECT window, number, item_id, vector, source FROM items WHERE window > :window AND window <= :until "
                "ORDER BY window, number LIMIT :block",
                {"window": after.window, "number": after.number, "until": until, "block": _BLOCK},
            ).fetchall()
        windows, numbers, ids, vectors, sources = zip(*rows, strict=True) if rows else ((0,), (0,), (), (), ())
        place = Place(windows[-1], numbers[-1]) if rows else after
        return Delivery(place, list(ids), self._decoded(vectors, layout), list(sources))

    def keys_up_to(self, window: int) -> Words:
        """(n, 2) keys of all items of the windows up to this one, in the order of `vectors_up_to`."""
        with translated(self.path):
            cursor = self._db.conn.execute("SELECT item_id FROM items WHERE window <= ? ORDER BY number", [window])
            parts = [words_of([])]
            while rows := cursor.fetchmany(_BLOCK):
                parts.append(words_of([item for (item,) in rows]))
        return np.concatenate(parts)

    def vectors_up_to(self, window: int, layout: CentreFormat) -> Iterator[NDArray[Any]]:
        """(k, D) vectors of the same items, some thousand at a time."""
        with translated(self.path):
            cursor = self._db.conn.execute("SELECT vector FROM items WHERE window <= ? ORDER BY number", [window])
            while rows := cursor.fetchmany(_BLOCK):
                yield self._decoded([vector for (vector,) in rows], layout)

    def _decoded(self, vectors: Sequence[bytes], layout: CentreFormat) -> NDArray[Any]:
        size = layout.dimension * layout.dtype.itemsize
        if any(len(vector) != size for vector in vectors):
            raise CentreDamagedError(f"{self.path} is damaged: a vector has not {size} bytes; restore a backup")
        return np.frombuffer(b"".join(vectors), layout.dtype).reshape(-1, layout.dimension)

    def _prepare(self, write: bool) -> None:
        application = self._number("SELECT application_id FROM pragma_application_id()")
        version = self._number("SELECT user_version FROM pragma_user_version()")
        if application not in {0, APPLICATION_ID} or (application == 0 and self._db.table_names()):
            raise CentreError(f"{self.path} is an SQLite database of another program; name another folder")
        if version > SCHEMA_VERSION:
            raise CentreError(f"{self.path} was written by a newer version of this software; install that version")
        if write:
            self._db.enable_wal()
            self._db.execute("PRAGMA synchronous = FULL")

    def _number(self, query: str, *parameters: object) -> int:
        row = self._db.conn.execute(query, parameters).fetchone()
        if row is None:
            raise CentreDamagedError(f"{self.path} is damaged: it has no open window; restore a backup")
        return int(row[0])
