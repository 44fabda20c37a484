"""PyTorch modules as ONNX files: opset 18, named inputs, axes of any size, nothing of the machine that made them."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import Any

import onnx
import torch
from torch import Tensor, nn

#: The first with LayerNormalization and with torch's own exporter; ONNX Runtime and TensorRT 10 read it whole.
OPSET = 18


def onnx_file(
    module: nn.Module, examples: Sequence[Tensor], inputs: Sequence[str], outputs: Sequence[str], axes: Sequence[Any]
) -> bytes:
    """The graph of a module in evaluation mode.

    Args:
        module: takes the examples by position.
        examples: where an axis is to have any size, it must be at least 2: an axis of 1 would be frozen.
        inputs: their names.
        outputs: names of what it gives.
        axes: for each argument of `forward` a dict of axis to `torch.export.Dim`, empty where nothing varies; for
            `*given`, a tuple of them.
    """
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # Of torch to itself, and that one name of two equal axes is kept.
        warnings.filterwarnings("ignore", r".*(isinstance\(treespec|The axis name)")
        program = torch.onnx.export(
            module.eval(),
            tuple(examples),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes=tuple(axes),
            verbose=False,
        )
    assert program is not None
    program.save(buffer)
    return without_traces(buffer.getvalue())


def without_traces(model: bytes) -> bytes:
    """Drops what the exporter notes at each node: stack traces with this machine's paths, half of a small file."""
    graph_model = onnx.load_from_string(model)
    graph = graph_model.graph
    for part in (graph_model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        part.doc_string = ""
        del part.metadata_props[:]
    return bytes(graph_model.SerializeToString())
