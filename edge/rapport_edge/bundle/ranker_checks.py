"""What the manifest of an interest-ranker must also fulfil: its fields, its content and its graph must fit together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rapport_edge.bundle.manifest import CategoryField, InterestRanker, ItemContent, TensorSpec

#: What a ranker's graph may take, with the type of each.
INPUTS: Final = {
    "user": "int64",
    "items": "int64",
    "history": "int64",
    "age": "float32",
    "item_content": "float32",
    "history_content": "float32",
}
#: Those that only a model with content takes.
CONTENT_INPUTS: Final = ("item_content", "history_content")
#: The field that holds the item itself; it comes first.
ITEM: Final = "item"


def ranker_files(manifest: InterestRanker) -> Iterator[str]:
    """Names of the files that the fields, the catalogue and the content need."""
    yield from _lists(manifest)
    if manifest.content is not None:
        yield manifest.content.vectors


def ranker_problems(manifest: InterestRanker) -> Iterator[str]:
    """Everything that is wrong with a ranker's own part of a manifest, one sentence each."""
    first = manifest.item_fields[0]
    if (first.name, first.columns) != (ITEM, 1):
        yield f"the first item field must be {ITEM!r} with one column, not {first.name!r} with {first.columns}"
    for what, fields in (("item", manifest.item_fields), ("user", manifest.user_fields)):
        names = [field.name for field in fields]
        yield from (f"{what} field {name!r} is repeated" for name in sorted(set(names)) if names.count(name) > 1)
    if manifest.content is not None and not manifest.content.vectors.endswith(".npy"):
        yield f"content: vectors {manifest.content.vectors!r} is not an .npy file"
    yield from (f"{name!r} must be a .json file" for name in _lists(manifest) if not name.endswith(".json"))
    yield from _input_problems(manifest)
    yield from _output_problems(manifest)


def content_array_problem(content: ItemContent, array: NDArray[Any]) -> str | None:
    """Why an array cannot be a table of item embeddings, or None."""
    if array.dtype != np.float16 or array.ndim != 2 or array.shape[1] != content.dimension:
        return (
            f"{content.vectors} holds {array.dtype} {array.shape}; a table of item embeddings must be float16 "
            f"(items, {content.dimension})"
        )
    return None


def columns_of(fields: tuple[CategoryField, ...]) -> int:
    """How many values a row has over all fields."""
    return sum(field.columns for field in fields)


def _lists(manifest: InterestRanker) -> Iterator[str]:
    yield from (field.vocabulary for field in (*manifest.item_fields, *manifest.user_fields))
    yield manifest.catalogue
    if manifest.content is not None:
        yield manifest.content.ids


def _input_problems(manifest: InterestRanker) -> Iterator[str]:
    taken = {tensor.name: tensor for tensor in manifest.models[0].inputs}
    needed = {"items", "history"} | (set(CONTENT_INPUTS) if manifest.content is not None else set())
    for name in sorted(needed - set(taken)):
        yield f"the model of an interest-ranker must take {name!r}"
    for name, tensor in taken.items():
        if name not in INPUTS:
            yield f"input {name!r} is unknown; an interest-ranker takes {', '.join(INPUTS)}"
        elif name in CONTENT_INPUTS and manifest.content is None:
            yield f"the model takes {name!r}, but the manifest states no content"
        elif tensor.dtype != INPUTS[name] or not _fits(tensor, manifest):
            yield f"input {name!r} is {tensor.dtype} {list(tensor.shape)}, but must be {_wanted(name, manifest)}"


def _output_problems(manifest: InterestRanker) -> Iterator[str]:
    given = manifest.models[0].outputs
    if [(tensor.name, tensor.dtype, len(tensor.shape)) for tensor in given] != [("scores", "float32", 1)]:
        yield "the model of an interest-ranker must give one output, scores float32 ['items']"


def _row_of(name: str, manifest: InterestRanker) -> tuple[int | str, ...]:
    """The shape that an input must have; its first dimension is a name where any size will do."""
    if name == "user":
        return (columns_of(manifest.user_fields),)
    if name == "age":
        return ("history",)
    first = "items" if name in ("items", "item_content") else "history"
    if name in CONTENT_INPUTS:
        return (first, manifest.content.dimension if manifest.content is not None else 0)
    return (first, columns_of(manifest.item_fields))


def _fits(tensor: TensorSpec, manifest: InterestRanker) -> bool:
    """Whether a shape is as wanted: any number of candidates; a history of any length, or of the longest."""
    wanted = _row_of(tensor.name, manifest)
    if len(tensor.shape) != len(wanted) or tensor.shape[1:] != wanted[1:]:
        return False
    first = tensor.shape[0]
    if wanted[0] == "history":
        return isinstance(first, str) or first == manifest.history_length
    return isinstance(first, str) if wanted[0] == "items" else first == wanted[0]


def _wanted(name: str, manifest: InterestRanker) -> str:
    return f"{INPUTS[name]} {list(_row_of(name, manifest))}"
