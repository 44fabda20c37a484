"""What a ranker's bundle holds beside its graph: vocabularies, catalogue and embeddings, read and held together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from rapport_edge.bundle.loader import Bundle
from rapport_edge.bundle.manifest import CategoryField, InterestRanker, task_of
from rapport_edge.errors import BundleError
from rapport_edge.ranking.content import BundledContent
from rapport_edge.ranking.items import Item, RankingError
from rapport_edge.ranking.vocabulary import FieldVocabulary

T = TypeVar("T")


@dataclass(frozen=True)
class RankerTables:
    """The data of one interest-ranker bundle.

    Attributes:
        items: vocabularies of the item fields, the item itself first.
        users: vocabularies of the user fields.
        catalogue: what can be suggested, by id, in the bundle's order.
        content: the bundle's embeddings; None for a ranker without content.
    """

    items: tuple[FieldVocabulary, ...]
    users: tuple[FieldVocabulary, ...]
    catalogue: Mapping[str, Item]
    content: BundledContent | None


def ranker_manifest(bundle: Bundle) -> InterestRanker:
    """The bundle's manifest. Raises BundleError if it has another task."""
    if not isinstance(bundle.manifest, InterestRanker):
        raise BundleError(f"bundle {bundle.path} is a {task_of(bundle.manifest)}, not an interest-ranker")
    return bundle.manifest


def read_tables(bundle: Bundle) -> RankerTables:
    """The tables of a ranker's bundle.

    Raises:
        BundleError: if the bundle has another task, or a file does not hold what the manifest says.
    """
    manifest = ranker_manifest(bundle)
    catalogue = _decode(bundle, manifest.catalogue, list[Item])
    _check_unique(bundle, manifest.catalogue, [item.id for item in catalogue])
    known = {field.name for field in manifest.item_fields[1:]}
    for item in catalogue:
        if odd := sorted(set(item.fields) - known):
            raise BundleError(f"bundle {bundle.path}: catalogue item {item.id!r} has the unknown field {odd[0]!r}")
    return RankerTables(
        items=_vocabularies(bundle, manifest.item_fields),
        users=_vocabularies(bundle, manifest.user_fields),
        catalogue={item.id: item for item in catalogue},
        content=_content(bundle, manifest),
    )


def _vocabularies(bundle: Bundle, fields: Sequence[CategoryField]) -> tuple[FieldVocabulary, ...]:
    vocabularies = []
    for field in fields:
        values = _decode(bundle, field.vocabulary, list[str])
        _check_unique(bundle, field.vocabulary, values)
        vocabularies.append(FieldVocabulary(field.name, field.columns, values))
    return tuple(vocabularies)


def _content(bundle: Bundle, manifest: InterestRanker) -> BundledContent | None:
    content = manifest.content
    if content is None:
        return None
    try:
        return BundledContent(content, _decode(bundle, content.ids, list[str]), bundle.arrays[content.vectors])
    except RankingError as error:
        raise BundleError(f"bundle {bundle.path}: {error}") from error


def _decode(bundle: Bundle, name: str, kind: type[T]) -> T:
    try:
        return msgspec.json.decode((bundle.path / name).read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError) as error:
        raise BundleError(f"bundle {bundle.path}: {name} cannot be read: {error}") from error


def _check_unique(bundle: Bundle, name: str, values: Sequence[str]) -> None:
    if len(set(values)) != len(values):
        seen: set[str] = set()
        repeated = next(value for value in values if value in seen or seen.add(value))  # type: ignore[func-returns-value]
        raise BundleError(f"bundle {bundle.path}: {name} has {repeated!r} twice")
