"""Behaviours and target as the tokens of one sequence a row: what a transformer over both works on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from rapport_training.interest.ctr.positions import Packed, Padded, Positions
from rapport_training.interest.ctr.segments import Pick

#: (b, L, F) inputs and (b, L) mask, True for tokens -> (b, L, G).
Attention = Callable[[Tensor, Tensor], Tensor]


class TokenSequence(Protocol):
    """T stands for the shape of tokens: (N + B,) packed, (B, 1 + L) padded."""

    def join(self, history: Tensor, target: Tensor) -> Tensor:
        """P (F) and (B, F) -> T (F)."""
        ...

    def attend(self, inputs: Tensor, attention: Attention) -> Tensor:
        """T (F) -> T (G), by an attention within each row."""
        ...

    def split(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """What `join` has joined."""
        ...


def token_sequence(at: Positions) -> TokenSequence:
    """For behaviours that lie there."""
    return PackedTokens(at) if isinstance(at, Packed) else PaddedTokens(at)


class PackedTokens:
    """The behaviours of all rows, then the targets.

    Attention needs rows of equal length: it sees groups of rows of like length, padded only to the longest of each.
    A slot is a place in such a group; every token has one, padding has the others.
    """

    #: More groups have less padding, and more calls.
    GROUPS = 4

    def __init__(self, at: Packed) -> None:
        self._batch = len(at.lengths)
        shortest_first = torch.argsort(at.lengths, stable=True)
        tokens, self._masks = [], []
        for rows in shortest_first.tensor_split(min(self.GROUPS, self._batch)):
            place = torch.arange(int(at.lengths[rows[-1]]) + 1, device=rows.device)
            self._masks.append(place <= at.lengths[rows, None])
            behaviours = at.starts[rows, None] + place - 1
            tokens.append(torch.where(place == 0, len(at.rows) + rows[:, None], behaviours).flatten())
        mask = torch.cat([mask.flatten() for mask in self._masks])
        self._token = torch.where(mask, torch.cat(tokens), 0)
        used = torch.nonzero(mask)[:, 0]
        self._slot = torch.empty_like(used).scatter_(0, self._token[used], used)

    def join(self, history: Tensor, target: Tensor) -> Tensor:
        """Behaviours, then targets."""
        return torch.cat([history, target])

    def attend(self, inputs: Tensor, attention: Attention) -> Tensor:
        """One attention a group."""
        slots = _ToSlots.apply(inputs, self._token, self._slot)
        parts = slots.split([mask.numel() for mask in self._masks])
        found = [
            attention(part.unflatten(0, mask.shape), mask).flatten(0, 1)
            for part, mask in zip(parts, self._masks, strict=True)
        ]
        return Pick.apply(torch.cat(found), self._slot)

    def split(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """The targets are the last B."""
        history, target = tokens.split([len(tokens) - self._batch, self._batch])
        return history, target


class PaddedTokens:
    """The target, then the behaviours."""

    def __init__(self, at: Padded) -> None:
        self._mask = torch.cat([torch.ones_like(at.mask[:, :1]), at.mask], dim=1)

    def join(self, history: Tensor, target: Tensor) -> Tensor:
        """Target, then behaviours; one history may belong to many targets."""
        return torch.cat([target[:, None], history.expand(target.shape[0], -1, -1)], dim=1)

    def attend(self, inputs: Tensor, attention: Attention) -> Tensor:
        """One attention for all."""
        return attention(inputs, self._mask)

    def split(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """The target is the first of each row."""
        return tokens[:, 1:], tokens[:, 0]


class _ToSlots(torch.autograd.Function):
    """(T, F) -> (slots, F). Padding holds a copy of token 0, of whose gradient the attention's mask makes zero."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, token: Tensor, slot: Tensor) -> Tensor:
        ctx.save_for_backward(slot)
        return values.index_select(0, token)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return gradients[0].index_select(0, ctx.saved_tensors[0]), None, None
