"""Amazon reviews of 2018 (JSON lines) and 2023 (JSON lines, or the ratings-only CSV), with or without metadata.

2018: reviewerID, asin, overall, unixReviewTime; metadata asin, title, category, brand.
2023: user_id, parent_asin, rating, timestamp in milliseconds; metadata parent_asin, title, categories, store.
Stars divided by 5 are labels. Addresses of pictures are left aside: a folder or zip file with ASIN.jpg may be given.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from rapport_training.interest.data.errors import LogError
from rapport_training.interest.data.log import About
from rapport_training.interest.data.log_writer import LogWriter
from rapport_training.interest.data.pictures import Pictures
from rapport_training.interest.data.sources.text_files import ITEMS, blocks, csv_blocks, json_lines

LICENCE: Final = "research use (McAuley Lab)"
_STARS: Final = 5.0
_BLOCK: Final = 50_000


class _Review(msgspec.Struct):
    reviewerID: str | None = None
    asin: str | None = None
    overall: float | None = None
    unixReviewTime: int | None = None
    user_id: str | None = None
    parent_asin: str | None = None
    rating: float | None = None
    timestamp: int | None = None

    def row(self) -> tuple[str, str, int, float] | None:
        """(user, item, seconds, stars); None if the line has neither layout."""
        new = (self.user_id, self.parent_asin or self.asin, self.timestamp, self.rating)
        if None not in new:
            return new[0], new[1], new[2] // 1000, new[3]
        old = (self.reviewerID, self.asin, self.unixReviewTime, self.overall)
        return None if None in old else old


class _Product(msgspec.Struct):
    asin: str | None = None
    parent_asin: str | None = None
    title: str | None = None
    category: list[str] | str | None = None
    categories: list[str] | None = None
    brand: str | None = None
    store: str | None = None


def amazon(
    reviews: Path, metadata: Path | None = None, pictures: Path | None = None
) -> tuple[About, Callable[[LogWriter], None]]:
    """What describes the log, and what fills it.

    Args:
        reviews: .json, .jsonl or .csv, each also .gz.
        metadata: of the same year; items without events are left out.
        pictures: a zip file or folder with ASIN.jpg.
    """
    name = reviews.name.split(".")[0]
    about = About(f"Amazon {name}", reviews.name, LICENCE, label_name="rating", label_scale=_STARS)
    return about, lambda writer: _fill(reviews, metadata, Pictures(pictures), writer)


def _fill(reviews: Path, metadata: Path | None, pictures: Pictures, writer: LogWriter) -> None:
    if ".csv" in reviews.suffixes:
        _add_csv(reviews, writer)
    else:
        _add_json(reviews, writer)
    if metadata is not None:
        _add_products(metadata, pictures, writer)


def _add_csv(path: Path, writer: LogWriter) -> None:
    types = {"user_id": pa.string(), "parent_asin": pa.string(), "rating": pa.float32(), "timestamp": pa.int64()}
    for block in csv_blocks(path, types):
        _add(
            writer,
            path,
            user=block["user_id"],
            item=block["parent_asin"],
            time=pc.divide(block["timestamp"], 1000),
            stars=block["rating"],
        )


def _add_json(path: Path, writer: LogWriter) -> None:
    for lines in blocks(json_lines(path, _Review), _BLOCK):
        rows = []
        for number, review in lines:
            row = review.row()
            if row is None:
                raise LogError(
                    f"{path}, line {number}: expected reviewerID, asin, overall, unixReviewTime (2018) or user_id, "
                    "parent_asin, rating, timestamp (2023)"
                )
            rows.append(row)
        user, item, time, stars = zip(*rows, strict=True)
        _add(writer, path, user=pa.array(user), item=pa.array(item), time=time, stars=pa.array(stars, pa.float32()))


def _add(writer: LogWriter, path: Path, *, stars: pa.Array, **columns: Any) -> None:
    if pc.any(pc.invert(pc.and_(pc.greater_equal(stars, 0), pc.less_equal(stars, _STARS)))).as_py():
        raise LogError(f"{path}: a rating is not between 0 and {_STARS:g}")
    label = pc.divide(stars, pa.scalar(_STARS, pa.float32()))
    writer.add_events(**columns, kind=pa.repeat("rating", len(stars)), label=label)


def _add_products(path: Path, pictures: Pictures, writer: LogWriter) -> None:
    known = 0
    named = ((one.parent_asin or one.asin or "", one) for _, one in json_lines(path, _Product))
    for products in blocks((pair for pair in named if writer.has_events(pair[0])), ITEMS):
        known += len(products)
        writer.add_items(
            id=[item for item, _ in products],
            title=[_title(one.title) for _, one in products],
            image=[pictures.get(item) for item, _ in products],
            category=[(_categories(one) or [""])[-1] for _, one in products],
            attributes=[_attributes(one) for _, one in products],
        )
    if not known:
        raise LogError(f"{path}: no product of the reviews is in it; is it the metadata of the same year?")


def _categories(product: _Product) -> list[str]:
    given = product.categories or product.category or []
    return [html.unescape(one) for one in ([given] if isinstance(given, str) else given)]


def _attributes(product: _Product) -> list[tuple[str, list[str]]]:
    maker = product.brand or product.store
    return [("category path", _categories(product)), ("maker", [html.unescape(maker)] if maker else [])]


def _title(title: str | None) -> str:
    # Some titles of 2018 are scripts of the page that they were taken from.
    return "" if title is None or "getTime" in title else html.unescape(title)
