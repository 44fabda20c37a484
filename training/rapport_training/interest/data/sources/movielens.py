"""MovieLens: 100K (u.data), 1M (ratings.dat) and the newer CSV files (ratings.csv), as GroupLens publishes them.

Ratings are labels: stars divided by 5. The first genre is an item's category, all of them are its attribute "genre".
Posters come with none of the data sets; a zip file or a folder with ID.jpg or ID.png may lie beside them.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from rapport_training.interest.data.errors import LogError
from rapport_training.interest.data.log import About
from rapport_training.interest.data.log_writer import LogWriter
from rapport_training.interest.data.pictures import Pictures
from rapport_training.interest.data.sources.text_files import ITEMS, blocks, csv_blocks, need, reading, split_lines

LICENCE: Final = "research use, no redistribution without permission (GroupLens)"

_GENRES: Final = [
    "unknown",
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
]
_AGES_OF_1M: Final = {
    "1": "0-17",
    "18": "18-24",
    "25": "25-34",
    "35": "35-44",
    "45": "45-49",
    "50": "50-55",
    "56": "56+",
}
_STARS: Final = 5.0
_YEAR: Final = re.compile(r"\((\d{4})\)\s*$")


@dataclass(frozen=True)
class _Film:
    id: str
    title: str
    genres: list[str]


def movielens(folder: Path, posters: Path | None = None) -> tuple[About, Callable[[LogWriter], None]]:
    """What the folder holds, and what fills a log with it.

    Args:
        folder: with u.data, ratings.dat or ratings.csv.
        posters: a zip file or folder with ID.jpg; None: the first *.zip in the folder that holds pictures.

    Raises:
        LogError: if it is no MovieLens folder.
    """
    layouts = {"u.data": ("100K", _fill_100k), "ratings.dat": ("1M", _fill_1m), "ratings.csv": ("CSV", _fill_csv)}
    found = need(folder, *layouts).name
    variant, fill = layouts[found]
    pictures = _posters_beside(folder) if posters is None else Pictures(posters)
    about = About(f"MovieLens {variant}", f"{folder.name}/{found}", LICENCE, label_name="rating", label_scale=_STARS)
    return about, lambda writer: fill(folder, pictures, writer)


def _posters_beside(folder: Path) -> Pictures:
    """The data set's own archive may lie there, too."""
    found = (Pictures(place) for place in sorted(folder.glob("*.zip")))
    return next((pictures for pictures in found if len(pictures)), Pictures(None))


def _fill_100k(folder: Path, pictures: Pictures, writer: LogWriter) -> None:
    columns = ["id", "title", "release date", "video release date", "URL", *_GENRES]
    lines = split_lines(need(folder, "u.item"), "|", columns)
    _add_films(
        (_Film(p[0], p[1], [g for g, flag in zip(_GENRES, p[5:], strict=True) if flag == "1"]) for p in lines),
        pictures,
        writer,
    )
    users = split_lines(need(folder, "u.user"), "|", ["id", "age", "gender", "occupation", "zip code"])
    people = [(p[0], _decade(p[1]), p[2], p[3]) for p in users if p[0] != "user_id"]
    _add_people(people, writer)
    _add_ratings(folder / "u.data", writer, delimiter="\t", header=False)


def _fill_1m(folder: Path, pictures: Pictures, writer: LogWriter) -> None:
    films = split_lines(need(folder, "movies.dat"), "::", ["id", "title", "genres"])
    _add_films((_Film(p[0], p[1], _split(p[2])) for p in films), pictures, writer)
    users = split_lines(need(folder, "users.dat"), "::", ["id", "gender", "age", "occupation", "zip code"])
    _add_people([(p[0], _AGES_OF_1M.get(p[2], p[2]), p[1], p[3]) for p in users], writer)
    # pyarrow knows delimiters of one character: between two colons stands a column of nothing.
    _add_ratings(folder / "ratings.dat", writer, delimiter=":", header=False)


def _fill_csv(folder: Path, pictures: Pictures, writer: LogWriter) -> None:
    _add_films(_films_of_csv(need(folder, "movies.csv")), pictures, writer)
    _add_ratings(folder / "ratings.csv", writer, delimiter=",", header=True)


def _films_of_csv(path: Path) -> Iterator[_Film]:
    with reading(path), path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        if not {"movieId", "title", "genres"} <= set(rows.fieldnames or ()):
            raise LogError(f"{path}, line 1: expected the columns movieId, title, genres, found {rows.fieldnames}")
        for row in rows:
            if row["genres"] is None:
                raise LogError(f"{path}, line {rows.line_num}: expected movieId, title, genres")
            yield _Film(row["movieId"], row["title"], _split(row["genres"]))


def _split(genres: str) -> list[str]:
    return [genre for genre in genres.split("|") if genre and genre != "(no genres listed)"]


def _add_films(films: Iterator[_Film], pictures: Pictures, writer: LogWriter) -> None:
    for listed in blocks(films, ITEMS):
        writer.add_items(
            id=[film.id for film in listed],
            title=[film.title for film in listed],
            image=[pictures.get(film.id) for film in listed],
            category=[film.genres[0] if film.genres else "" for film in listed],
            attributes=[_attributes(film) for film in listed],
        )


def _attributes(film: _Film) -> list[tuple[str, list[str]]]:
    year = _YEAR.search(film.title)
    return [("genre", film.genres), ("decade", [f"{year[1][:3]}0s"] if year else [])]


def _add_people(people: list[tuple[str, str, str, str]], writer: LogWriter) -> None:
    writer.add_users(
        id=[person[0] for person in people],
        attributes=[[("age", [age]), ("gender", [gender]), ("occupation", [work])] for _, age, gender, work in people],
    )


def _decade(age: str) -> str:
    return f"{int(age) // 10 * 10}-{int(age) // 10 * 10 + 9}" if age.isdigit() else age


def _add_ratings(path: Path, writer: LogWriter, *, delimiter: str, header: bool) -> None:
    names = ["userId", "movieId", "rating", "timestamp"]
    types = dict(zip(names, [pa.string(), pa.string(), pa.float32(), pa.int64()], strict=True))
    if delimiter == ":":
        types = {key: kind for name in names for key, kind in ((name, types[name]), (f"nothing {name}", pa.string()))}
        types.pop("nothing timestamp")
    for block in csv_blocks(path, types, delimiter=delimiter, header=header):
        stars = block["rating"]
        if pc.any(pc.or_(pc.less(stars, 0), pc.greater(stars, _STARS))).as_py():
            raise LogError(f"{path}: a rating is not between 0 and {_STARS:g}")
        writer.add_events(
            user=block["userId"],
            item=block["movieId"],
            time=block["timestamp"],
            kind=pa.repeat("rating", len(block)),
            label=pc.divide(stars, pa.scalar(_STARS, pa.float32())),
        )
