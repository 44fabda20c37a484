"""What a data set's folder holds, shared by the code that writes it and the code that reads it."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

SPLITS: Final = ("train", "val", "test")
DESCRIPTION: Final = "data_set.json"
CARD: Final = "DATA_CARD.md"
FORMAT: Final = 1
LABELS: Final = ("age", "gender", "race")

#: Columns of each split's Parquet file. `landmarks` are five points (x, y) in pixels of the encoded picture, in the
#: order of `rapport_edge.faces.LANDMARK_NAMES`, null where no face was found; `content` is the SHA-256 of `image`.
SCHEMA: Final = pa.schema(
    [
        pa.field("image", pa.binary(), nullable=False),
        pa.field("caption", pa.string(), nullable=False),
        pa.field("age", pa.string()),
        pa.field("gender", pa.string()),
        pa.field("race", pa.string()),
        pa.field("landmarks", pa.list_(pa.float32(), 10)),
        pa.field("content", pa.string(), nullable=False),
        pa.field("file", pa.string(), nullable=False),
        pa.field("attributes", pa.string(), nullable=False),
    ]
)
