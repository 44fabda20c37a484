"""Gated recurrent units with an attentional update gate, over packed behaviours.

A step takes the rows that are long enough, of which there are fewer and fewer: nothing is computed for padding. All
inputs' gates are one matrix product before the first step, and all weights' gradients one after the last.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rapport_training.interest.ctr.normalisation import at_least_float32
from rapport_training.interest.ctr.positions import Packed, Padded, Positions
from rapport_training.interest.ctr.step_order import StepOrder

aten = torch.ops.aten


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
        weights = self.inputs.weight, self.inputs.bias, self.hidden.weight, self.hidden.bias
        states, last = _Recurrence.apply(values, attention, *weights, at.steps)
        return states, last.new_zeros(len(at.lengths), self.size).index_copy(0, at.steps.rows, last)

    def _padded(self, values: Tensor, attention: Tensor | None, at: Padded) -> tuple[Tensor, Tensor]:
        """The same step by step, to check others against; `export.recurrence` has what a graph computes."""
        gates = self.inputs(values).transpose(0, 1)
        keep = at.mask if attention is None else attention * at.mask
        state = gates.new_zeros(keep.shape[0], self.size)
        states = [state := self._step(state, *now) for now in zip(gates, keep.t()[..., None], strict=True)]
        return torch.stack(states, dim=1), state

    def _step(self, state: Tensor, gates: Tensor, keep: Tensor) -> Tensor:
        """Of a row's gates (B or 1, 3 H) and its attention or mask (B, 1): the new state."""
        update, reset, candidate = gates.chunk(3, dim=-1)
        hidden = F.linear(state, self.hidden.weight, self.hidden.bias).chunk(3, dim=-1)
        new = torch.tanh(candidate + torch.sigmoid(reset + hidden[1]) * hidden[2])
        return state + torch.sigmoid(update + hidden[0]) * keep * (new - state)


class _Recurrence(torch.autograd.Function):
    """The recurrence, with its backward pass by hand: autograd would keep and walk a graph of 15 nodes a step.

    Behaviours are in step order inside, so that a step is one piece of memory, and packed outside. A row of gates is
    update, reset, candidate.
    """

    @staticmethod
    def forward(  # noqa: PLR0913 - autograd sees tensors alone
        ctx: Any,
        values: Tensor,
        attention: Tensor | None,
        input_weight: Tensor,
        input_bias: Tensor,
        weight: Tensor,
        bias: Tensor,
        order: StepOrder,
    ) -> tuple[Tensor, Tensor]:
        """P (H) and P -> the states P (H), and (R, H) the last one of the rows that have any, in `order.rows`."""
        size = weight.shape[1]
        inputs = values.index_select(0, order.positions)
        shares = None if attention is None else attention.index_select(0, order.positions)[:, None]
        # The candidate's own bias is behind the reset gate; the others can be added at once.
        gates = torch.addmm(input_bias + F.pad(bias[: 2 * size], (0, size)), inputs, input_weight.t())
        own, states = torch.empty_like(inputs), torch.empty_like(inputs)
        _forward(gates, own, states, shares, weight, bias, order.counts)
        ctx.save_for_backward(inputs, shares, input_weight, weight, gates, own, states)
        ctx.order = order
        return states.index_select(0, order.places), states.index_select(0, order.last)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """All that does not depend on the gradient of later steps is computed for all steps at once."""
        inputs, shares, input_weight, weight, gates, own, states = ctx.saved_tensors
        order, size = ctx.order, weight.shape[1]
        before = _before(states, order.counts)
        update, reset, candidate = gates.chunk(3, dim=1)
        strength = update if shares is None else update * shares
        change = candidate - before
        by_candidate = aten.tanh_backward(strength, candidate)
        # What a state's gradient is multiplied with, for the gradients of the hidden part's three gates.
        factors = torch.empty_like(gates)
        by_update, by_reset, by_own = factors.chunk(3, dim=1)
        torch.mul(by_candidate, reset, out=by_own)
        aten.sigmoid_backward.grad_input(by_candidate * own, reset, grad_input=by_reset)
        aten.sigmoid_backward.grad_input(change if shares is None else change * shares, update, grad_input=by_update)
        of_states = gradients[0].index_select(0, order.positions)
        of_hidden = _backward(of_states, gradients[1], factors, 1 - strength, weight, order.counts)
        of_weight, of_bias = of_hidden.t() @ before, of_hidden.sum(dim=0)
        of_attention = None
        if shares is not None:
            of_attention = torch.linalg.vecdot(of_states * change, update).index_select(0, order.places)
        of_gates = of_hidden  # but for the candidate's, which the reset gate does not stand before
        of_candidate = torch.mul(of_states, by_candidate, out=of_gates[:, 2 * size :])
        of_input_bias = torch.cat([of_bias[: 2 * size], of_candidate.sum(dim=0)])
        of_values = (of_gates @ input_weight).index_select(0, order.places)
        return of_values, of_attention, of_gates.t() @ inputs, of_input_bias, of_weight, of_bias, None


def _forward(
    gates: Tensor, own: Tensor, states: Tensor, shares: Tensor | None, weight: Tensor, bias: Tensor, counts: list[int]
) -> None:
    """Turns the inputs' (N, 3 H) gates into all of them; writes the candidates' own parts and the states (N, H)."""
    size = weight.shape[1]
    to_both, to_own = weight[: 2 * size].t(), weight[2 * size :].t()
    state, offset = states.new_zeros(counts[0] if counts else 0, size), bias[2 * size :]
    # All views at once: slicing in the loop would take as long as computing in it.
    both, update, reset, candidate = gates[:, : 2 * size], *gates.chunk(3, dim=1)
    views = (view.split(counts) for view in (both, update, reset, candidate, own, states))
    weights = [None] * len(counts) if shares is None else shares.split(counts)
    for count, share, gate, by, restart, new, hidden, after in zip(counts, weights, *views, strict=True):
        old = state[:count]
        gate.addmm_(old, to_both).sigmoid_()
        torch.addmm(offset, old, to_own, out=hidden)
        _tanh(new.addcmul_(restart, hidden))
        state = torch.lerp(old, new, by if share is None else by * share, out=after)


def _before(states: Tensor, counts: list[int]) -> Tensor:
    """(N, H): the state that each step began with."""
    first = states.new_zeros(counts[0] if counts else 0, states.shape[1])
    return torch.cat([first, *(step[:count] for step, count in zip(states.split(counts), counts[1:], strict=False))])


def _backward(
    of_states: Tensor, of_last: Tensor, factors: Tensor, keep: Tensor, weight: Tensor, counts: list[int]
) -> Tensor:
    """The last step first. Adds to `of_states` what comes from later steps; turns `factors` into gradients (N, 3 H)."""
    carried = of_last.clone(memory_format=torch.contiguous_format)  # a row's stays as it is until the row's last step
    update, reset, own = factors.chunk(3, dim=1)
    views = [view.split(counts) for view in (of_states, factors, update, reset, own, keep)]
    for count, gradient, hidden, *parts, share in reversed(list(zip(counts, *views, strict=True))):
        later = carried[:count]
        gradient.add_(later)
        for part in parts:
            part.mul_(gradient)
        torch.mul(gradient, share, out=later).addmm_(hidden, weight)
    return factors


def _tanh(values: Tensor) -> Tensor:
    """In place; torch's own takes four times as long on a CPU."""
    return values.mul_(2).sigmoid_().mul_(2).sub_(1)
