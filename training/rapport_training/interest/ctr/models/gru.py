"""Gated recurrent units with an attentional update gate, over packed behaviours.

A step takes the rows that are long enough, of which there are fewer and fewer: nothing is computed for padding. All
inputs' gates are one matrix product before the first step, and all weights' gradients one after the last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._higher_order_ops.scan import scan
from torch.nn import functional as F

from rapport_training.interest.ctr.positions import Packed, Padded, Positions


@dataclass(frozen=True)
class StepOrder:
    """Packed positions step by step: the first behaviour of every row, the second of those that have one, ...

    Attributes:
        positions: (N,) int64, packed positions in this order.
        counts: rows that take part in each step.
        row: (B,) int64, each row's place when the longest come first.
    """

    positions: Tensor
    counts: list[int]
    row: Tensor

    @classmethod
    def of(cls, at: Packed) -> StepOrder:
        """The order for a batch."""
        longest_first = torch.argsort(at.lengths, descending=True, stable=True)
        steps = torch.arange(at.width, device=at.lengths.device)[:, None]
        step, place = torch.nonzero(steps < at.lengths[longest_first], as_tuple=True)
        counts = torch.bincount(step, minlength=at.width).tolist()
        row = torch.empty_like(longest_first).scatter_(0, longest_first, torch.arange(len(at.lengths)).to(step))
        return cls(at.starts[longest_first][place] + step, [count for count in counts if count], row)


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
        order = StepOrder.of(at)
        gates = self.inputs(values)[order.positions]
        weights = None if attention is None else attention[order.positions]
        batch = len(at.lengths)
        states, last = _Steps.apply(gates, self.hidden.weight, self.hidden.bias, weights, order.counts, batch)
        back = torch.empty_like(order.positions)
        back[order.positions] = torch.arange(len(back), device=back.device)
        return states[back], last[order.row]

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
        ctx: Any,
        gates: Tensor,
        weight: Tensor,
        bias: Tensor,
        attention: Tensor | None,
        counts: list[int],
        batch: int,
    ) -> tuple[Tensor, Tensor]:
        size = weight.shape[1]
        state = gates.new_zeros(batch, size)
        before, states, candidates, hidden_part = (gates.new_empty(len(gates), size) for _ in range(4))
        both = gates.new_empty(len(gates), 2 * size)
        transposed, start = weight.t(), 0
        for count in counts:
            rows = slice(start, start + count)
            old = state[:count]
            before[rows] = old
            hidden = torch.addmm(bias, old, transposed)
            gate = torch.add(gates[rows, : 2 * size], hidden[:, : 2 * size], out=both[rows]).sigmoid_()
            hidden_part[rows] = hidden[:, 2 * size :]
            new = torch.addcmul(gates[rows, 2 * size :], gate[:, size:], hidden[:, 2 * size :], out=candidates[rows])
            new.tanh_()
            update = gate[:, :size] if attention is None else gate[:, :size] * attention[rows, None]
            old.add_(update * (new - old))
            states[rows] = old
            start += count
        ctx.save_for_backward(weight, attention, before, both, candidates, hidden_part)
        ctx.counts = counts
        return states, state

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        weight, attention, before, both, candidates, hidden_part = ctx.saved_tensors
        size = weight.shape[1]
        of_states, of_state = gradients[0], gradients[1].clone()
        of_gates = torch.empty(len(before), 3 * size, dtype=before.dtype, device=before.device)
        of_hidden = torch.empty_like(of_gates)
        of_attention = None if attention is None else torch.empty_like(attention)
        # What does not depend on the gradient is computed for all steps at once.
        update, reset = both[:, :size], both[:, size:]
        slope = both * (1 - both)
        change = candidates - before
        by_update = change * slope[:, :size]
        strength = update if attention is None else update * attention[:, None]
        by_candidate = strength * (1 - candidates * candidates)
        by_reset = hidden_part * slope[:, size:]
        keep = 1 - strength
        end = len(before)
        for count in reversed(ctx.counts):
            rows = slice(end - count, end)
            gradient = of_state[:count].add_(of_states[rows])
            candidate = torch.mul(gradient, by_candidate[rows], out=of_gates[rows, 2 * size :])
            of_update = torch.mul(gradient, by_update[rows], out=of_gates[rows, :size])
            if of_attention is not None:
                assert attention is not None
                torch.linalg.vecdot(gradient, change[rows] * update[rows], out=of_attention[rows])
                of_update.mul_(attention[rows, None])
            torch.mul(candidate, by_reset[rows], out=of_gates[rows, size : 2 * size])
            of_hidden[rows, : 2 * size] = of_gates[rows, : 2 * size]
            torch.mul(candidate, reset[rows], out=of_hidden[rows, 2 * size :])
            gradient.mul_(keep[rows]).addmm_(of_hidden[rows], weight)
            end -= count
        return of_gates, of_hidden.t() @ before, of_hidden.sum(dim=0), of_attention, None, None
