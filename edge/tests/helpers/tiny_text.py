"""A tiny text tower with known weights, to test everything around one."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tiny_bundle import DIM, contents, manifest

from rapport_edge.bundle import Bundle, write_bundle
from rapport_edge.bundle.manifest import ClosedText, Golden, Model, OpenText, TensorSpec, TextTower
from rapport_edge.bundle.sensitive import OPEN_TEXT
from rapport_edge.bundle.writer import Content

CONTEXT = 12
WORDS = {"a": (1,), "woman": (2,), "man": (3,), "baby": (4,), "of": (5,), "6": (6,), "0": (7,), "twenties": (8, 9)}
START, END = 10, 11


def text_table() -> np.ndarray:
    """(12, DIM) float32: each token points along an axis of its own; padding and "a" along none."""
    table = np.eye(12, DIM, dtype=np.float32)
    table[[0, 1]] = 0.0
    return table


def text_onnx() -> bytes:
    """(batch, CONTEXT) int64 tokens to the sum of their rows of `text_table`, (batch, DIM)."""
    nodes = [
        helper.make_node("Gather", ["table", "tokens"], ["rows"]),
        helper.make_node("ReduceSum", ["rows", "axis"], ["embeddings"], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny-text",
        [helper.make_tensor_value_info("tokens", TensorProto.INT64, ["batch", CONTEXT])],
        [helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["batch", DIM])],
        [numpy_helper.from_array(text_table(), "table"), numpy_helper.from_array(np.array([1]), "axis")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def golden_text() -> dict[str, np.ndarray]:
    tokens = np.zeros((1, CONTEXT), dtype=np.int64)
    tokens[0, :7] = (START, 1, 3, 5, 6, 7, END)
    return {"input:tokens": tokens, "output:embeddings": text_table()[tokens].sum(axis=1)}


def closed_text(**changes: object) -> ClosedText:
    fields = {
        "model": "text.onnx",
        "context_length": CONTEXT,
        "start": START,
        "end": END,
        "sentences": ("A man of 60",),
        "words": WORDS,
    }
    return msgspec.convert({**fields, **changes, "vocabulary": "closed"}, ClosedText)


def write_with_text(folder: Path, text: TextTower | None = None, **files: Content) -> Bundle:
    """The tiny bundle with a text tower; `files` are further ones by name."""
    model = Model(
        file="text.onnx",
        inputs=(TensorSpec(name="tokens", shape=("batch", CONTEXT), dtype="int64"),),
        outputs=(TensorSpec(name="embeddings", shape=("batch", DIM), dtype="float32"),),
        golden=Golden(file="text_golden.npz", tolerance=1e-4),
    )
    described = manifest()
    described = msgspec.structs.replace(
        described, format_version=2, models=(*described.models, model), text=text or closed_text()
    )
    given: dict[str, Content] = {"text.onnx": text_onnx(), "text_golden.npz": golden_text(), **files}
    sensitive = (OPEN_TEXT,) if isinstance(text, OpenText) or text is not None else ()
    return write_bundle(folder, described, {**contents(described), **given}, sensitive=sensitive)
