"""Gated recurrent units with an attentional update gate, over packed behaviours.

A step takes the rows that are long enough, of which there are fewer and fewer: nothing is computed for padding. All
inputs' gates are one matrix product before the first step, and all weights' gradients one after the last.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch._higher_order_ops.scan import scan
from torch.nn import functional as F

from rapport_training.interest.ctr.positions import Padded, Positions
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
        order = at.steps
        gates = self.inputs(Pick.apply(values, order.positions))
        weights = None if attention is None else Pick.apply(attention, order.positions)
        states = _Steps.apply(gates, self.hidden.weight, self.hidden.bias, weights, order.counts)
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
    """The recurrence, with its backward pass by hand: autograd would keep and walk a graph of 15 nodes a step."""

    @staticmethod
    def forward(
        ctx: Any, gates: Tensor, weight: Tensor, bias: Tensor, attention: Tensor | None, counts: list[int]
    ) -> Tensor:
        """(N, 3 H) gates of the inputs in step order -> (N, H) states."""
        size = weight.shape[1]
        hidden, both = torch.empty_like(gates), gates.new_empty(len(gates), 2 * size)
        candidates, states = gates.new_empty(len(gates), size), gates.new_empty(len(gates), size)
        transposed, start = weight.t(), 0
        state = gates.new_zeros(counts[0] if counts else 0, size)
        for count in counts:
            rows, old = slice(start, start + count), state[:count]
            inputs, own = gates[rows], hidden[rows]
            torch.addmm(bias, old, transposed, out=own)
            gate = torch.add(inputs[:, : 2 * size], own[:, : 2 * size], out=both[rows]).sigmoid_()
            new = candidates[rows]
            torch.addcmul(inputs[:, 2 * size :], gate[:, size:], own[:, 2 * size :], out=new).tanh_()
            update = gate[:, :size] if attention is None else gate[:, :size] * attention[rows, None]
            state = torch.lerp(old, new, update, out=states[rows])
            start += count
        ctx.save_for_backward(weight, attention, both, candidates, hidden, states)
        ctx.counts = counts
        return states

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """All that does not depend on the gradient of later steps is computed for all steps at once."""
        weight, attention, both, candidates, hidden, states = ctx.saved_tensors
        size = weight.shape[1]
        before = _before(states, ctx.counts)
        update, reset = both[:, :size], both[:, size:]
        strength = update if attention is None else update * attention[:, None]
        change = candidates - before
        by_candidate = strength * (1 - candidates.square())
        # What a state's gradient is multiplied with, for the gradients of the hidden part's three gates.
        factors = torch.stack(
            [
                change * strength * (1 - update),
                by_candidate * hidden[:, 2 * size :] * reset * (1 - reset),
                by_candidate * reset,
            ],
            dim=1,
        )
        of_states = gradients[0].clone(memory_format=torch.contiguous_format)
        of_hidden = _back(of_states, factors, 1 - strength, weight, ctx.counts)
        of_gates = torch.cat([of_hidden[:, : 2 * size], of_states * by_candidate], dim=1)
        of_attention = None if attention is None else torch.linalg.vecdot(of_states, change * update)
        return of_gates, of_hidden.t() @ before, of_hidden.sum(dim=0), of_attention, None


def _before(states: Tensor, counts: list[int]) -> Tensor:
    """(N, H): the state that each step began with."""
    parts, start = [states.new_zeros(counts[0] if counts else 0, states.shape[1])], 0
    for count, following in pairwise(counts):
        parts.append(states[start : start + following])
        start += count
    return torch.cat(parts)


def _back(of_states: Tensor, factors: Tensor, keep: Tensor, weight: Tensor, counts: list[int]) -> Tensor:
    """The last step first. Adds to `of_states` what comes from later steps; returns (N, 3 H), the hidden parts'."""
    of_hidden = torch.empty_like(factors)
    flat = of_hidden.flatten(1)
    carried = of_states.new_zeros(counts[0] if counts else 0, of_states.shape[1])
    end = len(of_states)
    for count in reversed(counts):
        rows, later = slice(end - count, end), carried[:count]
        gradient = of_states[rows].add_(later)
        torch.mul(gradient[:, None], factors[rows], out=of_hidden[rows])
        torch.mul(gradient, keep[rows], out=later).addmm_(flat[rows], weight)
        end -= count
    return flat
