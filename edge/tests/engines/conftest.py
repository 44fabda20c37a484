"""Tiny real ONNX models."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper


def _serialised(graph: onnx.GraphProto) -> bytes:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


@pytest.fixture(scope="session")
def linear_model() -> Callable[..., bytes]:
    """Makes y = x @ W + b with x (?, 4) and y (?, 3); W holds 0 to 11 times `scale`, b is 1, 2, 3."""

    def make(dtype: type = np.float32, scale: float = 1.0) -> bytes:
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        weight = numpy_helper.from_array((np.arange(12).reshape(4, 3) * scale).astype(dtype), "W")
        bias = numpy_helper.from_array(np.array([1, 2, 3], dtype=dtype), "b")
        graph = helper.make_graph(
            [helper.make_node("MatMul", ["x", "W"], ["xw"]), helper.make_node("Add", ["xw", "b"], ["y"])],
            "linear",
            [helper.make_tensor_value_info("x", kind, ["batch", 4])],
            [helper.make_tensor_value_info("y", kind, ["batch", 3])],
            initializer=[weight, bias],
        )
        return _serialised(graph)

    return make


@pytest.fixture(scope="session")
def convolution_model() -> bytes:
    """A 3 x 3 mean over pictures of any batch, height and width: x (?, 1, ?, ?) float32 to y of the same shape."""
    kernel = numpy_helper.from_array(np.full((1, 1, 3, 3), 1 / 9, dtype=np.float32), "k")
    shape = ["batch", 1, "height", "width"]
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "k"], ["y"], pads=[1, 1, 1, 1])],
        "mean",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        initializer=[kernel],
    )
    return _serialised(graph)


@pytest.fixture(scope="session")
def two_input_model() -> bytes:
    """total = a + b for a (?, 2) and b (?, 2) float32 with one batch, and size, the int64 shape of the total."""
    a, b, total = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 2]) for name in ("a", "b", "total"))
    graph = helper.make_graph(
        [helper.make_node("Add", ["a", "b"], ["total"]), helper.make_node("Shape", ["total"], ["size"])],
        "sum",
        [a, b],
        [total, helper.make_tensor_value_info("size", TensorProto.INT64, [2])],
    )
    return _serialised(graph)
