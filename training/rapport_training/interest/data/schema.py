"""Columns of a behaviour log."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

#: Rows of a row group of events: what a reader holds in memory at a time.
GROUP_ROWS: Final = 65_536

_ATTRIBUTES: Final = pa.map_(pa.string(), pa.list_(pa.string()))

#: id; title, "" for none; image, an encoded picture, null for none; category, "" for none; attributes, a name's values;
#: created, Unix seconds, null where unknown.
ITEMS: Final = pa.schema(
    [
        ("id", pa.string()),
        ("title", pa.string()),
        ("image", pa.binary()),
        ("category", pa.string()),
        ("attributes", _ATTRIBUTES),
        ("created", pa.int64()),
    ]
)

USERS: Final = pa.schema([("id", pa.string()), ("attributes", _ATTRIBUTES)])

#: time in Unix seconds; null where the source has only an order, which `order` then says within each user. label in
#: [0, 1]: 1 for what a user liked. query and query_image: what the user searched for, null where nothing.
EVENTS: Final = pa.schema(
    [
        ("user", pa.string()),
        ("item", pa.string()),
        ("time", pa.int64()),
        ("order", pa.int64()),
        ("kind", pa.string()),
        ("label", pa.float32()),
        ("query", pa.string()),
        ("query_image", pa.binary()),
    ]
)

#: A log's tables, by the names of their files.
TABLES: Final = {"items": ITEMS, "users": USERS, "events": EVENTS}
