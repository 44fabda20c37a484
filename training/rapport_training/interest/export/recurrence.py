"""DIEN's two recurrent layers as an exported graph runs them fastest, for one history and many targets."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch._higher_order_ops.scan import scan

from rapport_training.interest.ctr.models.dien import Dien
from rapport_training.interest.ctr.models.gru import AttentionalGru
from rapport_training.interest.ctr.positions import Padded
from rapport_training.onnx_program import OPSET


class FoldedGru(nn.Module):
    """`AttentionalGru` without attention as the operator that ONNX has for it; only for an exporter.

    Its update gate is what of the state is kept, not what is replaced. `nn.GRU` would export the same operator, and fix
    the history's length.
    """

    inputs: Tensor
    hidden: Tensor
    biases: Tensor

    def __init__(self, layer: AttentionalGru) -> None:
        super().__init__()
        self._size = layer.size
        sign = torch.tensor([-1.0, 1.0, 1.0]).repeat_interleave(layer.size)
        for name in ("inputs", "hidden"):
            self.register_buffer(name, (getattr(layer, name).weight.detach() * sign[:, None])[None])
        biases = [getattr(layer, name).bias.detach() * sign for name in ("inputs", "hidden")]
        self.register_buffer("biases", torch.cat(biases)[None])

    def forward(self, values: Tensor, attention: None, at: Padded) -> tuple[Tensor, None]:
        """(1, L, H) -> the states after every behaviour, the same; after padding they mean nothing."""
        inputs = values.transpose(0, 1)
        states = torch.onnx.ops.symbolic(
            "GRU",
            (inputs, self.inputs, self.hidden, self.biases),
            {"hidden_size": self._size, "linear_before_reset": 1},
            dtype=values.dtype,
            shape=(inputs.shape[0], 1, 1, self._size),
            version=OPSET,
        )
        return states[:, 0].transpose(0, 1), None


class FoldedAugru(nn.Module):
    """`AttentionalGru` with attention, only up to its last state, with as few operators a step as there can be.

    ONNX's GRU has no place for the attention. A product for each gate, which takes the input's gate as what is added to
    it, needs no further addition and no splitting of what came out.
    """

    of_update: Tensor
    of_reset: Tensor
    of_candidate: Tensor
    bias: Tensor

    def __init__(self, layer: AttentionalGru) -> None:
        super().__init__()
        self.size, self.inputs = layer.size, nn.Linear(layer.size, 3 * layer.size)
        hidden, bias = layer.hidden.weight.detach(), layer.hidden.bias.detach()
        for name, weight in zip(("update", "reset", "candidate"), hidden.chunk(3), strict=True):
            self.register_buffer(f"of_{name}", weight.t().contiguous())
        # The reset gate stands before the candidate's hidden part, bias and all.
        self.register_buffer("bias", bias[2 * layer.size :].clone())
        with torch.no_grad():
            self.inputs.weight.copy_(layer.inputs.weight)
            self.inputs.bias.copy_(layer.inputs.bias)
            self.inputs.bias[: 2 * layer.size] += bias[: 2 * layer.size]

    def forward(self, values: Tensor, attention: Tensor, at: Padded) -> tuple[None, Tensor]:
        """(1, L, H) and attention (B, L) -> the last state (B, H)."""
        keep = (attention * at.mask).t()[..., None]
        gates = self.inputs(values).transpose(0, 1).chunk(3, dim=-1)
        start = values.new_zeros(attention.shape[0], self.size)
        return None, scan(self._step, start, (*gates, keep), dim=0)[0]

    def _step(self, state: Tensor, now: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """Of the input's gates (1, H) and the attention (B, 1): the new state, and what `scan` needs in addition."""
        update, reset, candidate, keep = now
        update = torch.sigmoid(torch.addmm(update, state, self.of_update))
        reset = torch.sigmoid(torch.addmm(reset, state, self.of_reset))
        new = torch.tanh(candidate + reset * torch.addmm(self.bias, state, self.of_candidate))
        return state + update * keep * (new - state), keep.clone()


def folded_dien(dien: Dien) -> Dien:
    """The same, in place."""
    dien.extractor = FoldedGru(dien.extractor)  # type: ignore[assignment]
    dien.evolution = FoldedAugru(dien.evolution)  # type: ignore[assignment]
    return dien
