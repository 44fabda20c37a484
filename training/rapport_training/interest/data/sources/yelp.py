"""Yelp: the academic data set's JSON lines, or a CSV of reviews (also zipped), with or without business.json.

Stars divided by 5 are labels. Where a review has a day only, it counts as written at midnight: reviews of one day are
not in each other's histories.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from rapport_training.interest.data.errors import LogError
from rapport_training.interest.data.log import About
from rapport_training.interest.data.log_writer import LogWriter
from rapport_training.interest.data.pictures import Pictures
from rapport_training.interest.data.sources.text_files import ITEMS, blocks, csv_blocks, json_lines, reading

LICENCE: Final = "academic use, no redistribution (Yelp)"
_STARS: Final = 5.0
_BLOCK: Final = 50_000


class _Review(msgspec.Struct):
    user_id: str
    business_id: str
    stars: float
    date: str


class _Business(msgspec.Struct):
    business_id: str
    name: str = ""
    city: str | None = None
    categories: str | list[str] | None = None


def yelp(
    reviews: Path, businesses: Path | None = None, pictures: Path | None = None
) -> tuple[About, Callable[[LogWriter], None]]:
    """What describes the log, and what fills it.

    Args:
        reviews: review.json, a CSV with business_id, user_id, stars and date, or a zip file with one.
        businesses: business.json; only businesses with events are taken.
        pictures: a zip file or folder with BUSINESS_ID.jpg.
    """
    about = About("Yelp", reviews.name, LICENCE, label_name="stars", label_scale=_STARS)
    return about, lambda writer: _fill(reviews, businesses, Pictures(pictures), writer)


def _fill(reviews: Path, businesses: Path | None, pictures: Pictures, writer: LogWriter) -> None:
    if {".csv", ".zip"} & set(reviews.suffixes):
        _add_csv(reviews, writer)
    else:
        _add_json(reviews, writer)
    if businesses is not None:
        _add_businesses(businesses, pictures, writer)


def _add_csv(path: Path, writer: LogWriter) -> None:
    types = {"user_id": pa.string(), "business_id": pa.string(), "stars": pa.float32(), "date": pa.timestamp("s")}
    with ExitStack() as stack:
        unpacked = _inside_zip(path, stack) if path.suffix == ".zip" else None
        for block in csv_blocks(path, types, unpacked=unpacked):
            writer.add_events(
                user=block["user_id"],
                item=block["business_id"],
                time=block["date"].cast(pa.int64()),
                kind=pa.repeat("rating", len(block)),
                label=pc.divide(block["stars"], pa.scalar(_STARS, pa.float32())),
            )


def _inside_zip(path: Path, stack: ExitStack) -> IO[bytes]:
    with reading(path):
        archive = stack.enter_context(zipfile.ZipFile(path))
    tables = [name for name in archive.namelist() if name.endswith(".csv")]
    if len(tables) != 1:
        raise LogError(f"{path} holds {len(tables)} CSV files; expected one")
    with reading(path):
        return stack.enter_context(archive.open(tables[0]))


def _add_json(path: Path, writer: LogWriter) -> None:
    for block in blocks(json_lines(path, _Review), _BLOCK):
        writer.add_events(
            user=[review.user_id for _, review in block],
            item=[review.business_id for _, review in block],
            time=[_seconds(review.date, f"{path}, line {number}") for number, review in block],
            kind=["rating"] * len(block),
            label=[review.stars / _STARS for _, review in block],
        )


def _seconds(date: str, where: str) -> int:
    try:
        return int(datetime.fromisoformat(date).replace(tzinfo=timezone.utc).timestamp())
    except ValueError as error:
        raise LogError(f"{where}: the date is {date!r}, expected such as 2012-01-03 15:28:18") from error


def _add_businesses(path: Path, pictures: Pictures, writer: LogWriter) -> None:
    wanted = [one for _, one in json_lines(path, _Business) if writer.has_events(one.business_id)]
    if not wanted:
        raise LogError(f"{path}: no business of the reviews is in it")
    for some in blocks(wanted, ITEMS):
        writer.add_items(
            id=[one.business_id for one in some],
            title=[one.name for one in some],
            image=[pictures.get(one.business_id) for one in some],
            category=[(_categories(one) or [""])[0] for one in some],
            attributes=[[("kind", _categories(one)), ("city", [one.city] if one.city else [])] for one in some],
        )


def _categories(business: _Business) -> list[str]:
    given = business.categories or []
    return [one.strip() for one in given.split(",")] if isinstance(given, str) else given
