"""Gated recurrent units with an attentional update gate, over packed behaviours.

A step takes the rows that are long enough, of which there are fewer and fewer: nothing is computed for padding. All
inputs' gates are one matrix product before the first step, and all weights' gradients one after the last.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch._higher_order_ops.scan import scan
from torch.nn import functional as F

from rapport_training.interest.ctr.normalisation import at_least_float32
from rapport_training.interest.ctr.positions import Packed, Padded, Positions
from rapport_training.interest.ctr.segments import Pick


class AttentionalGru(nn.Module):
    """AUGRU, equations (8) and (9) of DIEN (Zhou et al. 2019); without attention, the GRU of its equations (1) to (4).

    Update gate u, reset gate r, candidate c: h <- h + a u (c - h), where a is the attention, 1 without.
    """

    def __init__(self, size: int) -> None:
        """`size` of the inputs and of the hidden state."""
        super().__init__()
        self.size = size
        self.inputs = nn.Linear(size, 3 * size)
        self.hidden = nn.Linear(size, 3 * size)

    def forward(self, values: Tensor, attention: Tensor | None, at: Positions) -> tuple[Tensor, Tensor]:
        """States after every behaviour, and after the last.

        Args:
            values: P (H).
            attention: P in [0, 1], or None.
            at: where the behaviours lie.

        Returns:
            states: P (H).
            last: (B, H); 0 for rows without behaviours.
        """
        if isinstance(at, Padded):
            return self._padded(values, attention, at)
        with torch.autocast(values.device.type, enabled=False):  # in float32, a long sequence adds up many small steps
            return self._packed(at_least_float32(values), attention, at)

    def _packed(self, values: Tensor, attention: Tensor | None, at: Packed) -> tuple[Tensor, Tensor]:
        """All rows together."""
        order = at.steps
        inputs = Pick.apply(values, order.positions).t()
        gates = torch.addmm(self.inputs.bias[:, None], self.inputs.weight, inputs)
        weights = None if attention is None else Pick.apply(attention, order.positions)
        states = _Steps.apply(gates, self.hidden.weight, self.hidden.bias, weights, order.counts).t().contiguous()
        last = states.new_zeros(len(at.lengths), self.size).index_copy(0, order.rows, Pick.apply(states, order.last))
        return Pick.apply(states, order.places), last

    def _padded(self, values: Tensor, attention: Tensor | None, at: Padded) -> tuple[Tensor, Tensor]:
        """The same step by step, for exporters: as a scan, whose length need not be known."""
        gates = self.inputs(values).transpose(0, 1)
        keep = at.mask if attention is None else attention * at.mask
        steps = gates, keep.t()[..., None].to(gates.dtype)
        state = gates.new_zeros(keep.shape[0], self.size)
        if torch.compiler.is_exporting():
            last, states = scan(self._step, state, steps, dim=0)
            return states.transpose(0, 1), last
        states = []
        for now in zip(*steps, strict=True):
            state, after = self._step(state, now)
            states.append(after)
        return torch.stack(states, dim=1), state

    def _step(self, state: Tensor, now: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Of a row's gates (B or 1, 3 H) and its attention or mask (B, 1): the new state, twice."""
        gates, keep = now
        update, reset, candidate = gates.chunk(3, dim=-1)
        hidden = F.linear(state, self.hidden.weight, self.hidden.bias).chunk(3, dim=-1)
        new = torch.tanh(candidate + torch.sigmoid(reset + hidden[1]) * hidden[2])
        state = state + torch.sigmoid(update + hidden[0]) * keep * (new - state)
        return state, state.clone()


class _Steps(torch.autograd.Function):
    """The recurrence, with its backward pass by hand: autograd would keep and walk a graph of 15 nodes a step.

    Features come first and behaviours second, so that a gate of a step is long lines of memory and not many short ones.
    """

    @staticmethod
    def forward(
        ctx: Any, gates: Tensor, weight: Tensor, bias: Tensor, attention: Tensor | None, counts: list[int]
    ) -> Tensor:
        """(3 H, N) gates of the inputs in step order -> (H, N) states."""
        size, length = weight.shape[1], gates.shape[1]
        hidden, both = torch.empty_like(gates), gates.new_empty(2 * size, length)
        candidates, states = gates.new_empty(size, length), gates.new_empty(size, length)
        state, offset = gates.new_zeros(size, counts[0] if counts else 0), bias[:, None]
        # All views at once: slicing in the loop would take as long as computing in it.
        views = (gates[: 2 * size], gates[2 * size :], hidden, hidden[: 2 * size], hidden[2 * size :])
        views += (both, both[:size], both[size:], candidates, states)
        weights = [None] * len(counts) if attention is None else attention.split(counts)
        steps = zip(counts, weights, *(view.split(counts, dim=1) for view in views), strict=True)
        for count, share, outer, outer_new, own, own_both, own_new, gate, update, reset, new, after in steps:
            old = state.narrow(1, 0, count)
            torch.addmm(offset, weight, old, out=own)
            torch.add(outer, own_both, out=gate).sigmoid_()
            _tanh(torch.addcmul(outer_new, reset, own_new, out=new))
            state = torch.lerp(old, new, update if share is None else update * share, out=after)
        ctx.save_for_backward(weight, attention, both, candidates, hidden, states)
        ctx.counts = counts
        return states

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """All that does not depend on the gradient of later steps is computed for all steps at once."""
        weight, attention, both, candidates, hidden, states = ctx.saved_tensors
        size = weight.shape[1]
        before = _before(states, ctx.counts)
        update, reset = both[:size], both[size:]
        strength = update if attention is None else update * attention
        change = candidates - before
        by_candidate = torch.addcmul(strength, strength * candidates, candidates, value=-1)
        # What a state's gradient is multiplied with, for the gradients of the hidden part's three gates.
        factors = torch.empty_like(hidden).unflatten(0, (3, size))
        torch.mul(by_candidate, reset, out=factors[2])
        torch.mul(factors[2] * hidden[2 * size :], 1 - reset, out=factors[1])
        torch.mul(change * strength, 1 - update, out=factors[0])
        of_states = gradients[0].clone(memory_format=torch.contiguous_format)
        of_hidden = _back(of_states, factors, 1 - strength, weight, ctx.counts)
        of_weight, of_bias = of_hidden @ before.t(), of_hidden.sum(dim=1)
        of_attention = None if attention is None else (of_states * change * update).sum(dim=0)
        of_gates = of_hidden  # but for the candidate's, which the reset gate does not stand before
        torch.mul(of_states, by_candidate, out=of_gates[2 * size :])
        return of_gates, of_weight, of_bias, of_attention, None


def _before(states: Tensor, counts: list[int]) -> Tensor:
    """(H, N): the state that each step began with."""
    before, start, end = torch.zeros_like(states), 0, 0
    for place, count in enumerate(counts):
        if place:
            before[:, end : end + count] = states[:, start : start + count]
            start = end
        end += count
    return before


def _back(of_states: Tensor, factors: Tensor, keep: Tensor, weight: Tensor, counts: list[int]) -> Tensor:
    """The last step first. Adds to `of_states` what comes from later steps; returns (3 H, N), the hidden parts'."""
    of_hidden, transposed = torch.empty_like(factors), weight.t()
    flat = of_hidden.flatten(0, 1)
    carried = of_states.new_zeros(len(of_states), counts[0] if counts else 0)
    steps = zip(
        counts,
        of_states.split(counts, dim=1),
        factors.split(counts, dim=2),
        of_hidden.split(counts, dim=2),
        flat.split(counts, dim=1),
        keep.split(counts, dim=1),
        strict=True,
    )
    for count, gradient, factor, hidden, hidden_rows, share in reversed(list(steps)):
        later = carried.narrow(1, 0, count)
        gradient.add_(later)
        torch.mul(gradient, factor, out=hidden)
        torch.mul(gradient, share, out=later).addmm_(transposed, hidden_rows)
    return flat


def _tanh(values: Tensor) -> Tensor:
    """In place; torch's own takes four times as long on a CPU."""
    return values.mul_(2).sigmoid_().mul_(2).sub_(1)
