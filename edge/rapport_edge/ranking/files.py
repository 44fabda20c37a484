"""Histories, candidates and centres as a person names them on the command line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from rapport_edge.ranking.items import Item, RankingError

if TYPE_CHECKING:
    from rapport_edge.representation import CentreReader

ItemT = TypeVar("ItemT", bound=Item)


def read_items(given: str, kind: type[ItemT]) -> list[ItemT]:
    """Items out of a JSON file, or out of ids with commas in between.

    Args:
        given: an existing file's path, or the ids; empty for none.
        kind: `Item` or `Event`.

    Raises:
        RankingError: if the file is not a list of ids or objects, or a file is named that is not there.
    """
    path = Path(given)
    if given and _is_file(path):
        entries = _decode(path, list[str | kind])  # type: ignore[valid-type]
        return [kind(id=entry) if isinstance(entry, str) else entry for entry in entries]
    if given.endswith(".json"):
        raise RankingError(f"there is no file {given}")
    return [kind(id=name.strip()) for name in given.split(",") if name.strip()]


def read_user(given: str) -> dict[str, tuple[str, ...]]:
    """Values by user field out of a JSON file, such as {"gender": ["Female"]}; nothing for an empty name.

    Raises:
        RankingError: if the file is not there or holds something else.
    """
    values: dict[str, tuple[str, ...]] = _decode(Path(given), dict[str, tuple[str, ...]]) if given else {}
    return values


def check_fields(given: Iterable[str], known: Sequence[str], what: str) -> None:
    """Refuses fields that a ranker does not have: a misspelt one would say nothing, and nobody would notice.

    Args:
        given: names of fields.
        known: those of the ranker.
        what: has them, such as "item 'a'".

    Raises:
        RankingError: naming the field and those that there are.
    """
    for name in given:
        if name not in known:
            raise RankingError(f"{what} has the field {name!r}; this ranker knows {', '.join(known) or 'none'}")


def open_sources(centre: str) -> tuple[CentreReader, ...]:
    """The representation centre that somebody names; none for an empty name. Who opens it closes it.

    Raises:
        CentreError: if there is none at that place.
    """
    if not centre:
        return ()
    from rapport_edge.representation import open_centre

    return (open_centre(centre if "://" in centre else Path(centre).expanduser()),)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a list of ids may be longer than a name can be
        return False


def _decode(path: Path, kind: Any) -> Any:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise RankingError(f"cannot read {path}: {error.strerror}") from error
    except msgspec.MsgspecError as error:
        raise RankingError(f"{path} is not what it should be: {error}") from error
