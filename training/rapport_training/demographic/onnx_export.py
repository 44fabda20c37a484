"""The image tower as an ONNX graph that takes aligned faces as they are: uint8, NHWC, RGB."""

from __future__ import annotations

import io

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional as F

from rapport_training.demographic.module import normalise

OPSET = 18

#: Smaller arrays stay in fp32: they weigh nothing, and normalisation statistics want the range.
_SMALLEST_FP16 = 1024


class ExportedEncoder(nn.Module):
    """Normalises pixels, embeds each face and its mirror image, and returns the unit vector between both.

    Averaging over the mirror image costs a second pass, a few milliseconds at this size, and makes the answer
    independent of the side from which a face is seen.
    """

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, faces: Tensor) -> Tensor:
        """(n, size, size, 3) uint8 -> (n, d) float32, unit length."""
        pixels = normalise(faces.permute(0, 3, 1, 2))
        both = F.normalize(self.tower(pixels), dim=-1) + F.normalize(self.tower(pixels.flip(3)), dim=-1)
        return F.normalize(both, dim=-1)


def round_weights_to_fp16(module: nn.Module) -> None:
    """Rounds what `store_weights_as_fp16` will store, so that PyTorch and the exported file hold the same numbers."""
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.numel() >= _SMALLEST_FP16:
                parameter.copy_(parameter.half().float())


def export_onnx(encoder: ExportedEncoder, size: int) -> bytes:
    """The graph with a dynamic batch; input `faces`, output `embeddings`."""
    encoder.eval()
    example = torch.zeros((2, size, size, 3), dtype=torch.uint8)  # a batch of 1 would freeze the axis
    buffer = io.BytesIO()
    program = torch.onnx.export(
        encoder,
        (example,),
        dynamo=True,
        opset_version=OPSET,
        input_names=["faces"],
        output_names=["embeddings"],
        dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=64)},),
        verbose=False,
    )
    assert program is not None
    program.save(buffer)
    return buffer.getvalue()


def store_weights_as_fp16(model: bytes) -> bytes:
    """Stores large weights in half the space; the graph casts them back, so it still computes in fp32.

    The runtime does the cast once, when it loads the file. Only weights that fp16 holds exactly are accepted.
    """
    graph_model = onnx.load_from_string(model)
    graph = graph_model.graph
    casts = []
    for tensor in list(graph.initializer):
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < _SMALLEST_FP16:
            continue
        values = numpy_helper.to_array(tensor)
        halves = values.astype(np.float16)
        if not np.array_equal(halves.astype(np.float32), values):
            continue  # such as weights that the exporter has folded into others
        name = tensor.name
        graph.initializer.remove(tensor)
        graph.initializer.append(numpy_helper.from_array(halves, name + ".fp16"))
        casts.append(helper.make_node("Cast", [name + ".fp16"], [name], to=TensorProto.FLOAT))
    for position, node in enumerate(casts):
        graph.node.insert(position, node)
    onnx.checker.check_model(graph_model)
    return bytes(graph_model.SerializeToString())
