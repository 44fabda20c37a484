"""A tiny interest-ranker with known weights, to test everything around a model without training one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from rapport_edge.bundle import Bundle, write_bundle
from rapport_edge.bundle.manifest import (
    FORMAT_VERSION,
    CategoryField,
    Golden,
    InterestRanker,
    ItemContent,
    Licence,
    Model,
    TensorSpec,
)
from rapport_edge.bundle.writer import Content

ENCODER = "e" * 64
DIM = 4
#: Items that training knew; the catalogue has "new" besides.
ITEMS = ("stars", "planets", "soup", "bread")
CATEGORIES = ("astronomy", "food")
CATALOGUE = (
    {"id": "stars", "title": "Stars", "fields": {"category": ["astronomy"]}},
    {"id": "planets", "title": "Planets", "fields": {"category": ["astronomy"]}},
    {"id": "soup", "title": "Soup", "fields": {"category": ["food"]}},
    {"id": "bread", "title": "Bread", "fields": {"category": ["food"]}},
    {"id": "new", "title": "A new comet", "fields": {"category": ["astronomy"]}},
)
#: Content: astronomy along the first axis, food along the second; "bread" has none.
VECTORS = {
    "stars": (1.0, 0.0, 0.0, 0.0),
    "planets": (0.8, 0.0, 0.6, 0.0),
    "soup": (0.0, 1.0, 0.0, 0.0),
    "new": (0.9, 0.1, 0.0, 0.0),
}
#: What an item is worth to anybody, by its index: nothing, unknown, then `ITEMS`.
WORTH = np.array([0.0, 0.0, 0.1, 0.2, 0.3, 0.4], dtype=np.float32)
#: What a person's group adds for everybody, by its index.
GROUP = np.array([0.0, 0.0, 0.5], dtype=np.float32)


def ranker_onnx(*, content: bool = True, age: bool = False, history: int | str = "history") -> bytes:
    """scores = sigmoid(worth[item] + group[user] + events of the same category + content times the history's sum)."""
    weights = {
        "worth": WORTH,
        "group": GROUP,
        "zero": np.array(0, dtype=np.int64),
        "one": np.array(1, dtype=np.int64),
        "first": np.array([0], dtype=np.int64),
        "second": np.array([1], dtype=np.int64),
    }
    nodes = [
        helper.make_node("Gather", ["items", "zero"], ["item"], axis=1),
        helper.make_node("Gather", ["worth", "item"], ["prior"]),
        helper.make_node("Gather", ["group", "user"], ["from_group"]),
        helper.make_node("Gather", ["items", "one"], ["category"], axis=1),
        helper.make_node("Gather", ["history", "one"], ["liked"], axis=1),
        helper.make_node("Unsqueeze", ["category", "second"], ["category_column"]),
        helper.make_node("Equal", ["category_column", "liked"], ["same"]),
        helper.make_node("Cast", ["same"], ["same_number"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["same_number", "second"], ["shared"], keepdims=0),
        helper.make_node("Sum", ["prior", "from_group", "shared"], ["by_fields"]),
    ]
    inputs = [("user", TensorProto.INT64, [1]), ("items", TensorProto.INT64, ["items", 2])]
    inputs += [("history", TensorProto.INT64, [history, 2])]
    last = "by_fields"
    if age:
        inputs += [("age", TensorProto.FLOAT, [history])]
        nodes += [
            helper.make_node("ReduceSum", ["age", "first"], ["old"], keepdims=1),
            helper.make_node("Sub", [last, "old"], ["by_age"]),
        ]
        last = "by_age"
    if content:
        inputs += [("item_content", TensorProto.FLOAT, ["items", DIM])]
        inputs += [("history_content", TensorProto.FLOAT, [history, DIM])]
        nodes += [
            helper.make_node("ReduceSum", ["history_content", "first"], ["taste"], keepdims=0),
            helper.make_node("MatMul", ["item_content", "taste"], ["by_content"]),
            helper.make_node("Add", [last, "by_content"], ["by_all"]),
        ]
        last = "by_all"
    nodes += [helper.make_node("Sigmoid", [last], ["scores"])]
    graph = helper.make_graph(
        nodes,
        "tiny-ranker",
        [helper.make_tensor_value_info(*entry) for entry in inputs],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["items"])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def ranker_manifest(*, content: bool = True, age: bool = False, history: int | str = "history") -> InterestRanker:
    inputs = [("user", (1,), "int64"), ("items", ("items", 2), "int64"), ("history", (history, 2), "int64")]
    inputs += [("age", (history,), "float32")] if age else []
    inputs += [("item_content", ("items", DIM), "float32")] if content else []
    inputs += [("history_content", (history, DIM), "float32")] if content else []
    model = Model(
        file="ranker.onnx",
        inputs=tuple(TensorSpec(name=name, shape=shape, dtype=dtype) for name, shape, dtype in inputs),
        outputs=(TensorSpec(name="scores", shape=("items",), dtype="float32"),),
        golden=Golden(file="golden.npz", tolerance=1e-5),
    )
    table = ItemContent(encoder=ENCODER, dimension=DIM, ids="content_ids.json", vectors="content.npy")
    return InterestRanker(
        format_version=FORMAT_VERSION,
        name="tiny-ranker",
        version="0.0.1",
        models=(model,),
        licences=(Licence(applies_to="weights", licence="Apache-2.0"),),
        commit="0000000",
        created="2026-01-31",
        history_length=3,
        item_fields=(
            CategoryField(name="item", vocabulary="items.json"),
            CategoryField(name="category", vocabulary="categories.json"),
        ),
        user_fields=(CategoryField(name="group", vocabulary="groups.json"),),
        content=table if content else None,
        catalogue="catalogue.json",
        protocol="none: known weights",
    )


def golden_arrays(model: bytes, described: InterestRanker) -> dict[str, np.ndarray]:
    """Random inputs and the answer of onnx's own reference evaluator, which is independent of every engine."""
    rng = np.random.default_rng(5)
    feeds: dict[str, Any] = {}
    for tensor in described.models[0].inputs:
        shape = [size if isinstance(size, int) else {"items": 3, "history": 2}[size] for size in tensor.shape]
        whole = tensor.dtype == "int64"
        feeds[tensor.name] = rng.integers(0, 3, shape) if whole else rng.random(shape, dtype=np.float32)
    scores = ReferenceEvaluator(onnx.load_from_string(model)).run(None, feeds)[0]
    return {**{f"input:{name}": value for name, value in feeds.items()}, "output:scores": np.asarray(scores)}


def write_ranker(folder: Path, files: dict[str, Content] | None = None, **options: Any) -> Bundle:
    """The bundle; `options` as in `ranker_onnx`, `files` instead of its own by name."""
    described, model = ranker_manifest(**options), ranker_onnx(**options)
    contents: dict[str, Content] = {
        "ranker.onnx": model,
        "golden.npz": golden_arrays(model, described),
        "items.json": msgspec.json.encode(ITEMS),
        "categories.json": msgspec.json.encode(CATEGORIES),
        "groups.json": msgspec.json.encode(["club"]),
        "catalogue.json": msgspec.json.encode(CATALOGUE),
    }
    if described.content is not None:
        contents |= {
            "content_ids.json": msgspec.json.encode(list(VECTORS)),
            "content.npy": np.array(list(VECTORS.values()), dtype=np.float16),
        }
    return write_bundle(folder, described, {**contents, **(files or {})})
