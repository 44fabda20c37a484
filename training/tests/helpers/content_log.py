"""A small log whose pictures and titles show a style that users follow, and recipes that learn it in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rapport_training.interest.content.recipe import ContentRecipe
from rapport_training.interest.data.log import RECORD, BehaviourLog, LogRecord
from rapport_training.interest.data.schema import TABLES

STYLES = 4
WORDS = ("quiet garden", "loud engine", "deep ocean", "high tower")

RECIPE = """
name: test
seed: 3
vision: {model: compact-small, image_size: 32}
language: {model: compact-small, max_length: 8}
width: 16
hidden: 24
pretraining:
  dda_epochs: 1
  dma_epochs: 1
  patch: 8
  masked_image: {kind: random, masked_share: 0.5}
  tokenizer_epochs: 1
  tokenizer_vocabulary: 16
  optimisation: {batch_size: 16, warmup_steps: 2}
csft:
  queue: 2
  epochs: 2
  optimisation: {batch_size: 16, warmup_steps: 2}
"""


def recipe_of(**changes: Any) -> ContentRecipe:
    """The recipe above with some parts changed: vision={...}, csft={...}."""
    plain = msgspec.yaml.decode(RECIPE)
    for name, change in changes.items():
        plain[name] = {**plain[name], **change} if isinstance(change, dict) else change
    return msgspec.convert(plain, ContentRecipe)


def picture(style: int, seed: int) -> bytes:
    """A PNG file of 40 x 48 pixels: a colour by style, with noise."""
    rng = np.random.default_rng(seed)
    colour = np.array([[200, 40, 40], [40, 200, 40], [40, 40, 200], [200, 200, 40]][style])
    pixels = np.clip(colour + rng.normal(0, 25, (48, 40, 3)), 0, 255).astype(np.uint8)
    return cv2.imencode(".png", pixels)[1].tobytes()


def items_table(count: int) -> pa.Table:
    """Items i0, i1, ... of style i % STYLES; the last five lack something."""
    items: dict[str, list[Any]] = {
        "id": [f"i{n}" for n in range(count)],
        "title": [f"{WORDS[n % STYLES]} {n}" for n in range(count)],
        "image": [picture(n % STYLES, n) for n in range(count)],
        "category": [f"c{n % 2}" for n in range(count)],
        "attributes": [[] for _ in range(count)],
        "created": [None] * count,
    }
    items["image"][-1] = None
    items["image"][-2] = b"\xff\xd8\xff no picture"
    items["image"][-3] = items["image"][-3][:200]
    items["title"][-4] = "  "
    items["image"][-5], items["title"][-5] = None, ""
    return pa.table(items, schema=TABLES["items"])


def write_content_log(folder: Path, items: int = 48, users: int = 12, events: int = 20, **columns: Any) -> BehaviourLog:
    """A log of purchases: user u meets items of style u % STYLES alone, one each second."""
    rng = np.random.default_rng(0)
    rows = []
    for time in range(events):
        for user in range(users):
            item = int(rng.integers(items // STYLES)) * STYLES + user % STYLES
            rows.append((f"u{user}", f"i{item}", time * users + user))
    event = {name: [None] * len(rows) for name in TABLES["events"].names}
    event["user"], event["item"], event["time"] = (list(part) for part in zip(*rows, strict=True))
    event["kind"], event["label"] = ["purchase"] * len(rows), [1.0] * len(rows)
    people = {"id": [f"u{n}" for n in range(users)], "attributes": [[] for _ in range(users)]}
    return write_tables(folder, items_table(items), people, {**event, **columns})


def write_tables(
    folder: Path, items: pa.Table, users: dict[str, Any], events: dict[str, Any], *, timed: bool = True
) -> BehaviourLog:
    """A log of given tables."""
    folder.mkdir(parents=True)
    tables = {
        "items": items,
        "users": pa.table(users, schema=TABLES["users"]),
        "events": pa.table(events, schema=TABLES["events"]),
    }
    for name, table in tables.items():
        pq.write_table(table, folder / f"{name}.parquet", row_group_size=64)
    counts = {name: table.num_rows for name, table in tables.items()}
    record = LogRecord(name="styles", digest=f"{folder.name}-{counts}", timed=timed, **counts)
    (folder / RECORD).write_bytes(msgspec.json.encode(record))
    return BehaviourLog.open(folder)
