"""Towers as ONNX graphs: dynamic batch, normalisation layers whole, weights stored in half the space if asked."""

from __future__ import annotations

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from open_clip.transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F

from rapport_training.demographic.pixels import Pixels, normalise
from rapport_training.onnx_program import onnx_file

#: Smaller arrays stay in fp32: they weigh nothing, and normalisation statistics want the range.
_SMALLEST_FP16 = 1024


class ExportedEncoder(nn.Module):
    """The image tower as the robot runs it: takes aligned faces as they are (uint8, NHWC, RGB), gives unit vectors.

    Args:
        tower: (n, 3, s, s) normalised pixels to embeddings.
        pixels: how bytes become numbers.
        average_mirrored: embed each face and its mirror image, and return the unit vector between both. That costs a
            second pass, a few milliseconds in a compact model, and makes the answer independent of the side from which
            a face is seen.
    """

    def __init__(self, tower: nn.Module, pixels: Pixels, *, average_mirrored: bool) -> None:
        super().__init__()
        self.tower, self.pixels, self.average_mirrored = tower, pixels, average_mirrored

    def forward(self, faces: Tensor) -> Tensor:
        """(n, size, size, 3) uint8 -> (n, d) float32, unit length."""
        pixels = normalise(faces.permute(0, 3, 1, 2), self.pixels)
        embeddings = F.normalize(self.tower(pixels), dim=-1)
        if not self.average_mirrored:
            return embeddings
        return F.normalize(embeddings + F.normalize(self.tower(pixels.flip(3)), dim=-1), dim=-1)


def is_convolutional(tower: nn.Module) -> bool:
    """False for CLIP's vision transformers, whose second pass a robot would feel."""
    return not isinstance(tower, VisionTransformer)


def round_weights_to_fp16(module: nn.Module) -> None:
    """Rounds what `store_weights_as_fp16` will store, so that PyTorch and the exported file hold the same numbers."""
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.numel() >= _SMALLEST_FP16:
                parameter.copy_(parameter.half().float())


def export_image_tower(encoder: ExportedEncoder, size: int) -> bytes:
    """The graph with a dynamic batch; input `faces` (batch, size, size, 3) uint8, output `embeddings`."""
    return _export(encoder, torch.zeros((2, size, size, 3), dtype=torch.uint8), "faces")


def export_text_tower(tower: nn.Module, tokens: Tensor) -> bytes:
    """The graph with a dynamic batch; input `tokens` (batch, context) int64, output `embeddings`.

    Args:
        tower: token ids to unit vectors.
        tokens: (n, context) int64 of any sentences, n at least 2.
    """
    return _export(tower, tokens[:2], "tokens")


def _export(module: nn.Module, example: Tensor, name: str) -> bytes:
    """`example` has a batch of 2: one of 1 would freeze the axis."""
    batch = torch.export.Dim("batch", min=1, max=1024)
    return onnx_file(module, [example], [name], ["embeddings"], [{0: batch}])


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
